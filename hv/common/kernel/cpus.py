"""The CPUs of the machine: which run, and how they are made to stop.

A CPU marks itself online when it takes part: then it may be kicked, called and given work.
"""

from hv.arch import cpu_id, halt, has_nmi, relax, send_ipi, send_urgent_ipi
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Final, Iterator, Never, PerCpu, bounded, u32, u64

STOP_SPINS: Final = 10_000_000  # how long `stop_others` waits, in tries: it must not need a clock
EASY_SPINS: Final = 1_000_000  # how long, before it asks urgently


class Cpu(PerCpu):
    online: Atomic[u32]
    stopped: Atomic[u32]
    pc: u64  # where it was stopped in the middle of something, and the frame record of that; 0: nowhere
    frame: u64


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
    """Makes the other CPUs halt at their next interrupt, and waits a while for it. One that has interrupts masked is
    stopped where it is, when the machine can, and notes where that was; else it may not come.
    """
    stopping.store(1)
    for cpu in online:
        if cpu != cpu_id():
            send_ipi(cpu)
    if has_nmi():
        if _wait(EASY_SPINS):
            return
        for cpu in online:
            if _runs_on(cpu):
                send_urgent_ipi(cpu)
    _wait(STOP_SPINS)


def stop_if_asked(pc: u64 = 0, frame: u64 = 0) -> None:
    """Halts this CPU when another has called `stop_others`. For the handlers of interrupts between CPUs; that of the
    urgent one says where the CPU was if it had interrupts masked.
    """
    if stopping.load_acquire() != 0:
        cpu = Cpu.this()
        cpu.pc = pc
        cpu.frame = frame
        cpu.stopped.store_release(1)
        halt()


def stop_here() -> Never:
    """Halts this CPU, of which nobody else has to know where it was."""
    Cpu.this().stopped.store_release(1)
    halt()


def _wait(spins: u32) -> bool:
    """Whether all have stopped."""
    for _ in bounded(spins, STOP_SPINS):
        if _all_stopped():
            return True
        relax()
    return False


def _runs_on(cpu: u32) -> bool:
    return cpu != cpu_id() and Cpu.on(cpu).stopped.load_acquire() == 0


def _all_stopped() -> bool:
    for cpu in online:
        if _runs_on(cpu):
            return False
    return True
