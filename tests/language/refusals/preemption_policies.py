# refuse: 17: a program has one preemption policy, and `preemption_policies.wanted` is it
from hv.lang import preemptible, preemption_policy, raises, u32


class Request:
    start: u32
    count: u32
    name: str


@preemption_policy
def wanted() -> bool:
    return False


@preemption_policy
def other() -> bool:
    return True
