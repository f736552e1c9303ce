# refuse: 18: a loop counts integers, not str
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
    for i in preemptible(range(request.name, request.count), request):
        pass
