# refuse: 3: a field has no default
class Node:
    id = 5
