# refuse: 8: `run` and `one_c_name.Node_run` are both `one_c_name_Node_run` in C: rename one
from hv.lang import u32


class Node:
    id: u32

    def run(self) -> None:
        pass


def Node_run() -> None:
    pass
