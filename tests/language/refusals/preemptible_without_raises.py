# refuse: 18: a preemptible loop leaves with Errno.ERESTART
from hv.lang import preemptible, preemption_policy, raises, u32


class Request:
    start: u32
    count: u32
    name: str


@preemption_policy
def wanted() -> bool:
    return False



def f(request: Request) -> None:
    for i in preemptible(range(request.start, request.count), request):
        pass
