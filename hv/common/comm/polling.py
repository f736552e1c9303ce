"""vCPUs that wait for events without taking an upcall (SCHEDOP_poll of public/sched.h)."""

from hv.common.comm.channel import Port
from hv.common.comm.upcall import delivery
from hv.common.kernel.time import Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.model.domain import Domain
from hv.common.model.vcpu import MAX_VCPUS, Vcpu, Vcpus
from hv.lang import Atomic, Embedded, Extension, Final, array, trailing_zeros, u32, u64, unbounded

WORDS: Final = (MAX_VCPUS + 63) // 64
ANY_PORT: Final[u32] = 0  # it waits for one of several


class Pollers(Extension[Domain]):
    waiting: array[Atomic[u64], WORDS]  # a bit for each vCPU


class Polling(Extension[Vcpu], TimerOwner):
    vcpu: Vcpu
    port: Atomic[u32]
    timer: Embedded[Timer]

    def init(self, owner: Vcpu) -> None:
        self.vcpu = owner
        self.timer.init(self)

    def teardown(self, owner: Vcpu) -> None:
        self.timer.kill()

    def begin(self, port: u32) -> None:
        """From now on an event on this port, or ANY_PORT, ends the wait. Look whether one has come already."""
        self.timer.cancel()
        self.port.store(port)
        Pollers.of(self.vcpu.domain).waiting[self.vcpu.id // 64].or_(self._bit())

    def end(self) -> bool:
        """Whether the vCPU waited."""
        bit = self._bit()
        return Pollers.of(self.vcpu.domain).waiting[self.vcpu.id // 64].and_(~bit) & bit != 0

    @property
    def is_over(self) -> bool:
        return Pollers.of(self.vcpu.domain).waiting[self.vcpu.id // 64].load() & self._bit() == 0

    def expired(self, now: Ns) -> None:
        if self.end():
            delivery.upcalls.resume(self.vcpu)

    def _bit(self) -> u64:
        return u64(1) << self.vcpu.id % 64


@unbounded("each round looks at one of the vCPUs that waited when it began")
def arrived(domain: Domain, port: Port) -> None:
    """An event has become pending: who polls for it goes on."""
    for i in range(WORDS):
        left = Pollers.of(domain).waiting[i].load()
        while left != 0:
            vcpu = Vcpus.of(domain).find(u32(i) * 64 + trailing_zeros(left))
            left &= left - 1
            if vcpu is not None:
                polling = Polling.of(vcpu)
                wanted = polling.port.load()
                if wanted in (ANY_PORT, u32(port)) and polling.end():
                    delivery.upcalls.resume(vcpu)
