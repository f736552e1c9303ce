"""A local is read where every way that leads there has set it."""

from hv.lang import Errno, array, bounded, raises, u8, u32, unbounded


class Table:
    slots: array[u32, 3]


def calc_on_both_branches(n: u32) -> u32:
    if n > 8:
        answer: u32 = 1
    else:
        answer = 2
    return answer


def calc_or_left(n: u32) -> u32:
    if n > 8:
        answer: u32 = 1
    elif n > 4:
        return 7
    else:
        answer = 3
    return answer


def calc_by_match(n: u8) -> u32:
    match n:
        case 0 | 1:
            answer: u32 = 10
        case 2:
            return 5
        case _:
            answer = 20
    return answer


def test_by_a_loop_that_runs() -> u32:
    for i in range(4):
        last = i * 2
    return last + i


def test_by_a_loop_over_elements() -> u32:
    table = Table()
    table.slots[2] = 9
    for slot in table.slots:
        last = slot
    return last


@unbounded("it ends at 100")
def searched(n: u32) -> u32:
    i: u32 = 0
    while True:
        i += 1
        if i == 100:
            found: u32 = 500
            break
        if i * i >= n:
            found = i
            break
    return found


def calc_by_breaks(n: u8) -> u32:
    return searched(u32(n))


@raises
def halved(n: u32) -> u32:
    if n % 2 != 0:
        raise Errno.EINVAL
    return n // 2


def calc_by_handler(n: u32) -> u32:
    try:
        half = halved(n)
    except Errno as e:
        half = u32(e.code)
    return half


def calc_behind_handler(n: u32) -> u32:
    try:
        half = halved(n)
    except Errno:
        return 3
    return half


def calc_kept_in_a_loop(n: u8) -> u32:
    last: u32 = 77
    for i in bounded(u32(n % 8), 8):
        last = i
    return last
