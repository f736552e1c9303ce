# refuse: 3: first parameter is `self`
class Node:
    def run() -> None:
        pass
