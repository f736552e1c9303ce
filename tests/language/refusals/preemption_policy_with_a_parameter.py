# refuse: 12: a preemption policy has another signature: `() -> bool`, and it cannot raise
from hv.lang import preemptible, preemption_policy, raises, u32


class Request:
    start: u32
    count: u32
    name: str


@preemption_policy
def wanted(n: u32) -> bool:
    return n == 0
