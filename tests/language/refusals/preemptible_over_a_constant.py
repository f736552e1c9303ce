# refuse: 18: a preemptible loop counts from a field of the object that keeps its progress
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
    for i in preemptible(range(0, request.count), request):
        pass
