# refuse: 16: recursion
from hv.lang import Protocol, u32


class Step(Protocol):
    def run(self, n: u32) -> u32: ...


class First(Step):
    next: Step

    def run(self, n: u32) -> u32:
        return again(self.next, n)


def again(step: Step, n: u32) -> u32:
    return step.run(n)
