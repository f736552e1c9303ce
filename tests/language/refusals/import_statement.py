# refuse: 2: `import` brings no name: write `from package.module import name`, or a module for the name
import hv.lang
