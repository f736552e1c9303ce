"""A module of the hypervisor itself: the ordered queue, used by a program."""

from hv.common.lib.ordered import Link, OrderedQueue
from hv.lang import Final, array, i64, u32, u64


class Task:
    id: u32
    link: Link["Task"]


queue: Final = OrderedQueue[Task]()
tasks: Final[array[Task, 5]] = array()


def build(keys: u64) -> None:
    for i in range(5):
        tasks[i].id = i
        tasks[i].link.init(tasks[i])
        queue.insert(tasks[i].link, i64(keys >> (i * 4) & 15))


def order() -> u64:
    found: u64 = 0
    for task in queue:
        found = found * 10 + u64(task.id) + 1
    return found


def test_sorted() -> u64:
    build(0x3_1415)
    return order()


def test_taken() -> u64:
    build(0x1_2222)
    first = queue.pop()
    queue.remove(tasks[2].link)
    head = queue.head()
    total: u64 = u64(queue.length)
    if first is not None and head is not None:
        total += u64(first.id) * 10 + u64(head.id) * 100
    return total * 1000 + order()


def test_removed_while_walked() -> u64:
    build(0x5_4321)
    for task in queue:
        if task.id % 2 == 0:
            queue.remove(task.link)
    return order() * 10 + u64(queue.length)


def calc_order(keys: u64) -> u64:
    build(keys)
    return order()


def trap_inserted_twice() -> u64:
    build(0)
    queue.insert(tasks[0].link, 1)
    return 0
