# refuse: 2: write the full name of the module
from . import other
