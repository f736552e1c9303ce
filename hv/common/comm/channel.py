"""One end of an event channel: the state of a port.

`Channel.lock` protects it; who reads `vcpu_id` and `priority` of another domain's end does it without. A channel's two
ends name each other: `EventPorts` (evtchn.py) changes first the end that could still send to the other.
"""

from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.mm.types import DomId
from hv.common.model.domain import Domain
from hv.lang import Atomic, NewType, U8Enum, u8, u32

Port = NewType("Port", u32)
"""Names an end of a channel in its domain (evtchn_port_t of public/event_channel.h). 0 is never used."""


class State(U8Enum):
    FREE = 0
    UNBOUND = 1  # waits for the other end, in `remote`
    INTERDOMAIN = 2
    VIRQ = 3
    IPI = 4


class Channel:
    lock: SpinLock[Rank.EVENT_CHANNEL]
    state: State
    priority: Atomic[u8]  # where events are queued by priority: 0 is the highest
    remote: DomId  # of UNBOUND and INTERDOMAIN
    virq: u32
    vcpu_id: Atomic[u32]  # the vCPU that is told
    peer_port: Port  # of INTERDOMAIN
    peer: Domain | None
    queued_on: Atomic[u32]  # the vCPU, times 16, and priority of the queue that it was put on last
    missed: Atomic[bool]  # it became pending where the guest has no word for it yet

    @property
    def told(self) -> u32:
        """The number of the vCPU that is told."""
        return self.vcpu_id.load_relaxed()
