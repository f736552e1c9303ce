"""The CPUs of the machine: which run, and how they are made to stop.

A CPU marks itself online when it takes part: then it may be kicked, called and given work.
"""

from hv.arch import cpu_id, halt, relax, send_ipi
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Final, Iterator, PerCpu, bounded, u32

STOP_SPINS: Final = 10_000_000  # how long `stop_others` waits, in tries: it must not need a clock


class Cpu(PerCpu):
    online: Atomic[u32]
    stopped: Atomic[u32]


class OnlineCpus:
    """The numbers of the CPUs that are online: `for cpu in online`."""

    def __iter__(self) -> Iterator[u32]:
        for cpu in range(CONFIG_NR_CPUS):
            if Cpu.on(cpu).online.load_acquire() != 0:
                yield cpu

    def __contains__(self, cpu: u32) -> bool:
        return cpu < CONFIG_NR_CPUS and Cpu.on(cpu).online.load_acquire() != 0

    def next_from(self, first: u32) -> u32:
        """The lowest that is not below `first`; CONFIG_NR_CPUS: there is none."""
        for cpu in bounded(min(first, CONFIG_NR_CPUS), CONFIG_NR_CPUS, CONFIG_NR_CPUS):
            if cpu in self:
                return cpu
        return CONFIG_NR_CPUS

    def __len__(self) -> u32:
        total: u32 = 0
        for cpu in range(CONFIG_NR_CPUS):
            total += Cpu.on(cpu).online.load_acquire()
        return total


online: Final = OnlineCpus()
stopping: Final = Atomic[u32]()


def mark_online() -> None:
    """This CPU takes part from now on."""
    Cpu.this().online.store_release(1)


def stop_others() -> None:
    """Makes the other CPUs halt at their next interrupt, and waits a while for it: one that has interrupts masked may
    not come.
    """
    stopping.store(1)
    for cpu in online:
        if cpu != cpu_id():
            send_ipi(cpu)
    for _ in range(STOP_SPINS):
        if _all_stopped():
            return
        relax()


def stop_if_asked() -> None:
    """Halts this CPU when another has called `stop_others`. For the handler of interrupts between CPUs."""
    if stopping.load_acquire() != 0:
        Cpu.this().stopped.store_release(1)
        halt()


def _all_stopped() -> bool:
    for cpu in online:
        if cpu != cpu_id() and Cpu.on(cpu).stopped.load_acquire() == 0:
            return False
    return True
