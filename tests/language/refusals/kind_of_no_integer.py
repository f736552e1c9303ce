# refuse: 4: NewType names an integer type
from hv.lang import NewType

Name = NewType("Name", str)
