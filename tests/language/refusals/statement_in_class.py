# refuse: 3: it holds annotated fields and methods
class Node:
    for i in range(3):
        pass
