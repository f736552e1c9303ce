"""A domain's ports: where its ends of event channels are kept.

Ports lie in buckets, which are made as they are needed and stay until the domain goes. `binding.lock`, one for all
domains, protects which ports are free; they are found without a lock.
"""

from hv.common.comm.channel import Channel, Port
from hv.common.comm.event_form import Form, form_of
from hv.common.comm.two_level import two_level
from hv.common.comm.virq import VIRQS
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.mm.pool import Pool
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import (
    Atomic,
    Errno,
    Extension,
    Final,
    Protocol,
    array,
    guard,
    raises,
    trailing_zeros,
    u8,
    u32,
    u64,
)

PER_BUCKET: Final = 64
MAX_BUCKETS: Final = 16
MOST_PORTS: Final[u32] = 1023  # as domains have them that nobody gives more (max_event_channels of xl.cfg)
NO_PORT: Final = Port(0)
USUAL_PRIORITY: Final[u8] = 7
ALL_FREE: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF


class Listener(Protocol):
    def signalled(self, domain: Domain) -> None:
        """The guest has sent an event to whoever listens in the other end's place. With no lock held."""
        ...


class Bucket:
    channels: array[Channel, PER_BUCKET]
    free: u64  # a bit for each


class Binding:
    lock: SpinLock[Rank.EVENT_PORTS]


binding: Final = Binding()


class EventChannels(Extension[Domain]):
    buckets: array[Atomic[Bucket | None], MAX_BUCKETS]
    virqs: array[Atomic[u32], VIRQS]  # the port that a global one is bound to; 0: none
    listener: Listener | None  # in place of the other end, for one port that is UNBOUND
    listened: Port
    ending: bool  # no port is made or bound any more

    def init(self, owner: Domain) -> None:
        Form.of(owner).form = two_level

    def find(self, port: Port) -> Channel | None:
        """Of any number at all. None: there is no such port."""
        if port >= MAX_BUCKETS * PER_BUCKET:
            return None
        bucket = self.buckets[port // PER_BUCKET].load_acquire()
        return None if bucket is None else bucket.channels[port % PER_BUCKET]

    def listen(self, port: Port, listener: Listener) -> None:
        """In place of the other end of a port that waits for it."""
        self.listener = listener
        self.listened = port

    @raises
    def channel(self, port: Port) -> Channel:
        """EINVAL: there is no such port."""
        found = self.find(port)
        if found is None:
            raise Errno.EINVAL
        return found

    @raises
    def allocate(self, held: Held[Rank.EVENT_PORTS], owner: Domain) -> Port:
        """The lowest free port; its channel is FREE still. ENOSPC: the domain has as many as it may. ENOMEM. ESRCH: the
        domain is on its way out.
        """
        if self.ending:
            raise Errno.ESRCH
        for i in range(MAX_BUCKETS):
            bucket = self.buckets[i].load_relaxed()
            if bucket is None:
                bucket = self._new_bucket(u32(i))
            if bucket.free != 0:
                place = trailing_zeros(bucket.free)
                port = Port(u32(i) * PER_BUCKET + place)
                if port > MOST_PORTS or port >= form_of(owner).capacity(owner):
                    raise Errno.ENOSPC
                bucket.free &= ~(u64(1) << place)
                return port
        raise Errno.ENOSPC

    @raises
    def _new_bucket(self, index: u32) -> Bucket:
        bucket = buckets.allocate()
        bucket.free = ALL_FREE if index != 0 else ALL_FREE & ~u64(1)
        for channel in bucket.channels:
            channel.priority.store(USUAL_PRIORITY)
        self.buckets[index].store_release(bucket)
        return bucket

    def release(self, held: Held[Rank.EVENT_PORTS], port: Port) -> None:
        bucket = self.buckets[port // PER_BUCKET].load_relaxed()
        assert bucket is not None, "a port is freed that was never made"
        bucket.free |= u64(1) << port % PER_BUCKET

    def teardown(self, owner: Domain) -> None:
        for i in range(MAX_BUCKETS):
            bucket = self.buckets[i].exchange(None)
            if bucket is not None:
                buckets.free(bucket)


class VcpuVirqs(Extension[Vcpu]):
    """The port that each of a vCPU's own is bound to; 0: none."""

    ports: array[Atomic[u32], VIRQS]


buckets: Final = Pool[Bucket]()


@guard
class OpenChannel:
    """A channel with its lock held."""

    channel: Channel

    def __enter__(self) -> Channel:
        self.channel.lock.__enter__()
        return self.channel

    def __exit__(self, *_: object) -> None:
        self.channel.lock.__exit__()


def channel_of(domain: Domain, port: Port) -> OpenChannel:
    """Of a port that has been made."""
    channel = EventChannels.of(domain).find(port)
    assert channel is not None, "a port was never made"
    return OpenChannel(channel)
