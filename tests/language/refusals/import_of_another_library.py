# refuse: 2: cannot be imported
from os import path
