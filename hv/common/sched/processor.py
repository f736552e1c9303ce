"""What scheduling knows of each CPU, and the lock of a vCPU's scheduling state.

`Processor.lock` protects what its CPU runs and queues, and the scheduling state of every vCPU whose `processor` it
is. The two ways to it are the CPU itself (`Processor.this().lock`), and from a vCPU (`with locked(vcpu) as held`).
"""

from hv.arch import relax
from hv.common.kernel.cpus import online
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.kernel.timer import Timer
from hv.common.model.vcpu import Vcpu
from hv.lang import Atomic, Embedded, PerCpu, guard, u32, unbounded


class Processor(PerCpu):
    lock: SpinLock[Rank.SCHEDULER]
    current: Vcpu | None  # None: idle. Written by this CPU alone
    slice: Embedded[Timer]
    idle: Atomic[u32]  # 1: it runs nothing, and nobody has claimed it for a vCPU
    spared: bool  # it is given no vCPU; set before there are any

    @property
    def is_idle(self) -> bool:
        """As seen from any CPU: it may be over by now."""
        return self.idle.load_relaxed() != 0

    def claim(self) -> bool:
        """For who is about to queue a vCPU on it: False when it is not idle, or another was quicker."""
        return self.is_idle and self.idle.exchange(0) != 0

    def set_idle(self, idle: bool) -> None:
        self.idle.store(u32(idle))


def runs_vcpus(cpu: u32) -> bool:
    """Whether vCPUs may be given to it."""
    return cpu in online and not Processor.on(cpu).spared


@guard
class LockedVcpu:
    """Holds the lock of the CPU that the vCPU belongs to."""

    vcpu: Vcpu
    cpu: u32

    @unbounded("fails only when another CPU has moved the vCPU in the moment before")
    def __enter__(self) -> Held[Rank.SCHEDULER]:
        while True:
            self.cpu = self.vcpu.processor
            held = Processor.on(self.cpu).lock.__enter__()
            # Whoever moved it here wrote to it under another lock: its `belong_to` is what is waited for.
            if self.vcpu.at.load_acquire() == self.cpu:
                return held
            Processor.on(self.cpu).lock.__exit__()
            relax()

    def __exit__(self, *_: object) -> None:
        Processor.on(self.cpu).lock.__exit__()


def locked(vcpu: Vcpu) -> LockedVcpu:
    return LockedVcpu(vcpu, 0)
