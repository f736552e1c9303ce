"""Loops that leave with ERESTART between two rounds and go on where they were when the function is called again."""

from hv.lang import Errno, Final, NewType, array, bounded, guard, preemptible, preemption_policy, raises, u8, u32, u64

Gfn = NewType("Gfn", u64)

asked: u32 = 0
patience: u32 = 0
released: u32 = 0
restarts: u32 = 0


@preemption_policy
def wanted() -> bool:
    global asked
    asked += 1
    return patience != 0 and asked % patience == 0


@guard
class Held:
    n: u32

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        global released
        released += 1


class Request:
    start: u32
    count: u32
    inner: u32
    gfn: Gfn
    limit: Gfn
    sum: u64


class Work:
    done: array[u32, 64]


work: Final = Work()


@raises
def populate(request: Request) -> u32:
    for i in preemptible(range(request.start, request.count), request):
        with Held(i):
            if i == 50:
                raise Errno.EINVAL
            work.done[i] += 1
    return request.count


@raises
def twice(request: Request) -> u64:
    for i in preemptible(range(request.start, request.count), request):
        if i % 3 == 1:
            continue
        request.sum += 1
        if i == 40:
            break
    for gfn in preemptible(range(request.gfn, request.limit), request):
        request.sum += u64(gfn)
    return request.sum


@raises
def row(request: Request) -> None:
    for _ in preemptible(range(request.inner, 5), request):
        request.sum += 1
    request.inner = 0


@raises
def nested(request: Request) -> u64:
    for _ in preemptible(range(request.start, request.count), request):
        row(request)
    return request.sum


@raises
def restarted(request: Request, which: u32) -> u64:
    """What a dispatcher does: it calls again until nobody is in a hurry."""
    for _ in bounded(u32(500), 500):
        try:
            match which:
                case 0:
                    return u64(populate(request))
                case 1:
                    return twice(request)
                case _:
                    return nested(request)
        except Errno as e:
            if e is not Errno.ERESTART:
                raise
            note()
    return 0


def note() -> None:
    global restarts
    restarts += 1


def run(request: Request, which: u32) -> u64:
    try:
        return restarted(request, which)
    except Errno as e:
        return 1_000_000 + u64(u32(e.code))


def calc_each_once(count: u8, hurry: u8) -> u64:
    global patience
    patience = u32(hurry)
    request = Request()
    request.count = u32(count)
    answer = run(request, 0)
    for i in range(64):
        answer = answer * 3 + u64(work.done[i])
    return answer * 100 + u64(request.start) + u64(restarts) * 10 + u64(released)


def calc_two_loops(count: u8, limit: u8, hurry: u8) -> u64:
    global patience
    patience = u32(hurry)
    request = Request()
    request.count = u32(count)
    request.limit = Gfn(u64(limit))
    answer = run(request, 1)
    return answer * 100 + u64(restarts) + u64(request.gfn) + u64(request.start)


def calc_nested(count: u8, hurry: u8) -> u64:
    global patience
    patience = u32(hurry) % 16
    if patience == 1:
        patience = 2
    request = Request()
    request.count = u32(count % 32)
    return run(request, 2) * 1000 + u64(restarts)


def calc_from_the_middle(start: u8, count: u8) -> u64:
    request = Request()
    request.start = u32(start)
    request.count = u32(count % 50)
    return run(request, 0) * 1000 + u64(request.start)
