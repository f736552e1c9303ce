# refuse: 10: are both `run` in C: rename one
# module: hv.sim.machine
from hv.lang import export, u32


class Node:
    id: u32

    @export
    def run(self) -> None:
        pass


@export
def run() -> None:
    pass
