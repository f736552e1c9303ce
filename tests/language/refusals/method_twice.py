# refuse: 6: declared twice
class Node:
    def run(self) -> None:
        pass

    def run(self) -> None:
        pass
