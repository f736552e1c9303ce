# refuse: 2: write `from package import module`
import hv.lang
