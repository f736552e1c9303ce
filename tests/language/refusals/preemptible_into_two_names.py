# refuse: 18: this loop yields one number
from hv.lang import preemptible, preemption_policy, raises, u32


class Request:
    start: u32
    count: u32
    name: str


@preemption_policy
def wanted() -> bool:
    return False


@raises
def f(request: Request) -> None:
    for i, j in preemptible(range(request.start, request.count), request):
        pass
