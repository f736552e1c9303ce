"""Per-CPU areas."""

from hv.lang import PerCpu, array, attach_percpu, u8, u32, u64


class RunQueue(PerCpu):
    length: u32
    slots: array[u8, 4]

    def add(self, x: u8) -> None:
        self.slots[self.length] = x
        self.length += 1


class Cpu(PerCpu):
    id: u32
    queue: RunQueue


def test_this_and_on_are_one() -> u64:
    RunQueue.this().add(5)
    RunQueue.on(0).add(6)
    queue = RunQueue.this()
    return u64(queue.length) * 100 + u64(queue.slots[0]) * 10 + u64(queue.slots[1])


def test_each_has_its_own() -> u64:
    for i in range(4):
        RunQueue.on(i).length = i * 3
        Cpu.on(i).id = i + 1
    total: u64 = 0
    for i in range(4):
        total = total * 16 + u64(RunQueue.on(i).length) + u64(Cpu.on(i).id)
    return total


def test_references_between() -> u64:
    cpu = Cpu.this()
    cpu.queue = RunQueue.on(2)
    cpu.queue.length = 8
    return u64(RunQueue.on(2).length) + u64(Cpu.this() is cpu) * 10 + u64(Cpu.on(1) is cpu) * 100


def test_attached() -> u64:
    Cpu.on(3).id = 33
    attach_percpu(3)
    here = u64(Cpu.this().id)
    attach_percpu(0)
    return here * 10 + u64(Cpu.this().id)


def calc_on(cpu: u32) -> u64:
    Cpu.on(cpu).id = 7
    return u64(Cpu.on(cpu).id)
