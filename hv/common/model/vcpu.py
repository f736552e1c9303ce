"""vCPUs: what a domain runs on, as the scheduler sees it, and what the architecture does with their registers.

A vCPU may run when it is neither blocked (it waits for an interrupt), nor down (its guest has not switched it on),
nor paused. `runstate` follows from that and from whether it has a CPU now, and is what time is accounted to.

The lock of the CPU that `processor` names (hv/common/sched/core.py) protects a vCPU's scheduling state, `processor`
included: it changes under the lock of the CPU that the vCPU leaves. `Vcpus` is filled while the domain is built,
emptied when nothing of it runs any more, and read without a lock: a vCPU's object stays until nobody can still be
looking at it (hv/common/kernel/reclaim.py).
"""

from hv.common.kernel.reclaim import Reclaimable, Retired, reclaimer
from hv.common.kernel.time import Ns
from hv.common.kernel.trace import trace_runstate
from hv.common.lib.bitmap import Bitmap
from hv.common.mm.pool import Pool
from hv.common.mm.types import Gaddr
from hv.common.model.domain import Domain
from hv.config import CONFIG_NR_CPUS
from hv.lang import (
    Atomic,
    Callable,
    Embedded,
    Errno,
    Extension,
    Final,
    Iterator,
    Never,
    Protocol,
    Registry,
    U8Enum,
    array,
    bounded,
    extensible,
    init_extensions,
    raises,
    teardown_extensions,
    u8,
    u16,
    u32,
    u64,
    value,
)

MAX_VCPUS: Final = 128  # of a domain
CPU_WORDS: Final = (CONFIG_NR_CPUS + 63) // 64


class RunState(U8Enum):
    """RUNSTATE_* of public/vcpu.h."""

    RUNNING = 0
    RUNNABLE = 1
    BLOCKED = 2
    OFFLINE = 3  # down, or paused


@extensible
class Vcpu(Reclaimable):
    id: u32
    domain: Domain
    at: Atomic[u32]
    blocked: bool
    down: bool
    begins: bool  # it is down, but begins again at `entry` when no CPU has its registers any more
    entry: u64
    argument: u64
    pauses: u32
    running: bool  # its state is in a CPU's registers, or on the way from or to there
    runstate: RunState
    since: Ns  # when it came into this runstate
    times: array[Ns, 4]  # spent in each before
    hard_affinity: Bitmap[CPU_WORDS]  # the CPUs that may run it
    retired: Embedded[Retired]

    @property
    def processor(self) -> u32:
        """The CPU that runs it, or whose queue it is on or was on last."""
        return self.at.load_relaxed()

    def belong_to(self, cpu: u32) -> None:
        """Under the lock of the CPU that it leaves."""
        self.at.store_release(cpu)

    @property
    def stays_down(self) -> bool:
        return self.down and not self.begins

    @property
    def runnable(self) -> bool:
        return not self.blocked and not self.down and self.pauses == 0

    def account(self, now: Ns) -> None:
        """After a change of what the runstate follows from."""
        new = self._present_runstate()
        if new != self.runstate:
            before = self.runstate
            old = u32(u8(before))
            trace_runstate(u32(u16(self.domain.id)), self.id, old, u32(u8(new)))
            self.times[old] = self.time_in(self.runstate, now)
            self.runstate = new
            self.since = max(self.since, now)
            for change in runstate_changes:
                change.told(self, before)

    def time_in(self, runstate: RunState, now: Ns) -> Ns:
        before = self.times[u32(u8(runstate))]
        return Ns(before + (now - self.since)) if runstate == self.runstate and now > self.since else before

    def reclaim(self) -> None:
        pool.free(self)

    def _present_runstate(self) -> RunState:
        if self.running:
            return RunState.RUNNING
        if self.down or self.pauses != 0:
            return RunState.OFFLINE
        return RunState.BLOCKED if self.blocked else RunState.RUNNABLE


@value
class RunstateChange:
    """Who wants to know of each, under the lock of the vCPU's scheduling state: the vCPU, and its runstate before."""

    told: Callable[[Vcpu, RunState], None]


runstate_changes: Final = Registry[RunstateChange]()


class Vcpus(Extension[Domain]):
    """A domain's vCPUs: `for vcpu in Vcpus.of(domain)`."""

    table: array[Atomic[Vcpu | None], MAX_VCPUS]
    filled: Atomic[u32]

    @property
    def count(self) -> u32:
        return self.filled.load_relaxed()

    def find(self, id: u32) -> Vcpu | None:
        """Of any number at all. None: no such vCPU."""
        return self.table[id].load_acquire() if id < MAX_VCPUS else None

    def __iter__(self) -> Iterator[Vcpu]:
        for i in bounded(self.count, MAX_VCPUS):
            vcpu = self.table[i].load_acquire()
            if vcpu is not None:
                yield vcpu

    def add(self, vcpu: Vcpu) -> None:
        assert vcpu.id == self.count and self.count < MAX_VCPUS, "vCPUs are made in order"
        self.table[vcpu.id].store_release(vcpu)
        self.filled.store_release(vcpu.id + 1)

    def take_last(self) -> Vcpu | None:
        """The last goes from the table. None: the table is empty."""
        count = self.count
        if count == 0:
            return None
        self.filled.store_release(count - 1)
        return self.table[count - 1].exchange(None)


class VcpuMachine(Protocol):
    """What the architecture does with vCPUs. Each CPU's registers hold the state of at most one."""

    def hindrance(self) -> str:
        """Why no vCPU can run on this machine. Empty: nothing hinders them."""
        ...

    def most_vcpus(self) -> u32:
        """That a domain can have on this machine, where nothing hinders them."""
        ...

    def start(self, vcpu: Vcpu, entry: u64, argument: u64) -> None:
        """Gives a vCPU that is down the state that a guest's CPU is switched on with, to begin at `entry`."""
        ...

    def load(self, vcpu: Vcpu) -> None:
        """Puts what is not saved at every exit into this CPU's registers. This CPU's scheduler lock is not held."""
        ...

    def save(self, vcpu: Vcpu) -> None:
        """The inverse. A blocked vCPU's timers go on: they wake it. This CPU's scheduler lock is held."""
        ...

    def has_interrupt(self, vcpu: Vcpu) -> bool:
        """Whether a vCPU that waits for an interrupt has one. This CPU has the vCPU's state in its registers."""
        ...

    @raises
    def translate(self, vcpu: Vcpu, address: u64, write: bool) -> Gaddr:
        """What the vCPU, which is loaded here, reaches at a virtual address, by its own tables and with its own rights.
        EFAULT: nothing.
        """
        ...

    def is_narrow(self, vcpu: Vcpu) -> bool:
        """Whether the code that it runs is of 32 bits: then so are the longs of what it passes."""
        ...

    def enter(self, vcpu: Vcpu) -> Never:
        """Goes on as the guest. Whatever is on this CPU's stack is given up."""
        ...


class Architecture:
    """What `VcpuMachine` is in this image; set at boot, before there are vCPUs."""

    vcpus: VcpuMachine


architecture: Final = Architecture()


@raises
def create_vcpu(domain: Domain, id: u32) -> Vcpu:
    """A domain's next vCPU: down, and allowed on all CPUs. ENOMEM, and what the extensions raise."""
    vcpu = pool.allocate()
    vcpu.id = id
    vcpu.domain = domain
    vcpu.down = True
    vcpu.runstate = RunState.OFFLINE
    vcpu.hard_affinity.set_range(0, CONFIG_NR_CPUS)
    try:
        init_extensions(vcpu)
    except Errno:
        pool.free(vcpu)
        raise
    Vcpus.of(domain).add(vcpu)
    return vcpu


def destroy_vcpu(vcpu: Vcpu) -> None:
    """Of one that runs no more and has been taken from its domain's table."""
    assert not vcpu.running, "a vCPU that runs is destroyed"
    teardown_extensions(vcpu)
    reclaimer.retire(vcpu.retired, vcpu)


pool: Final = Pool[Vcpu]()
