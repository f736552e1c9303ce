"""Events as bits in the shared page: one for each port that is pending, one for each that is masked, and for each vCPU
a selector that says in which words to look (public/xen.h: shared_info, vcpu_info).
"""

from hv.common.comm.channel import Channel, Port
from hv.common.comm.event_form import EventForm
from hv.common.comm.polling import arrived
from hv.common.comm.shared_info import SharedInfo
from hv.common.comm.upcall import delivery
from hv.common.comm.vcpu_info import VcpuInfo
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpus
from hv.lang import Atomic, Final, ptr, u32, u64

WIDE_PORTS: Final[u32] = 4096
NARROW_PORTS: Final[u32] = 1024


class Bits32:
    word: Atomic[u32]


class TwoLevel(EventForm):
    def capacity(self, domain: Domain) -> u32:
        return NARROW_PORTS if SharedInfo.of(domain).narrow else WIDE_PORTS

    def set_pending(self, domain: Domain, port: Port, channel: Channel) -> None:
        bit = u32(1) << port % 32
        if pending_at(domain, port).word.or_(bit) & bit != 0:
            return
        if masked_at(domain, port).word.load() & bit == 0:
            select(domain, port, channel)
        arrived(domain, port)

    def clear_pending(self, domain: Domain, port: Port, channel: Channel) -> None:
        pending_at(domain, port).word.and_(~(u32(1) << port % 32))

    def unmask(self, domain: Domain, port: Port, channel: Channel) -> None:
        bit = u32(1) << port % 32
        if masked_at(domain, port).word.and_(~bit) & bit != 0 and pending_at(domain, port).word.load() & bit != 0:
            select(domain, port, channel)

    def is_pending(self, domain: Domain, port: Port) -> bool:
        return pending_at(domain, port).word.load() >> port % 32 & 1 != 0


two_level: Final = TwoLevel()


def pending_at(domain: Domain, port: Port) -> Bits32:
    """The word that holds the port's bit: both forms of the page count bits through, and only their longs differ."""
    return ptr[Bits32](SharedInfo.of(domain).pending + u64(port // 32) * 4).ref()


def masked_at(domain: Domain, port: Port) -> Bits32:
    shared = SharedInfo.of(domain)
    return ptr[Bits32](shared.pending + shared.bitmap_bytes + u64(port // 32) * 4).ref()


def select(domain: Domain, port: Port, channel: Channel) -> None:
    narrow = SharedInfo.of(domain).narrow
    vcpu = Vcpus.of(domain).find(channel.told)
    if vcpu is not None and VcpuInfo.of(vcpu).select(u32(port) // (32 if narrow else 64), narrow):
        delivery.upcalls.notify(vcpu)
