# refuse: 13: a preemptible loop asks whether to go on: mark one function of the program @preemption_policy
from hv.lang import preemptible, preemption_policy, raises, u32


class Request:
    start: u32
    count: u32
    name: str


@raises
def f(request: Request) -> None:
    for i in preemptible(range(request.start, request.count), request):
        pass
