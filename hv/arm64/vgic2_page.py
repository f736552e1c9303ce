"""A guest's GICv2 CPU interface: two pages (Arm IHI 0048B, 4.1.3, 5.6).

The first is the machine's virtual CPU interface, which each CPU finds at one address, so that the guest takes and ends
its interrupts without the hypervisor. The second holds GICC_DIR alone, and is emulated. An active interrupt may be in
no list register, and what is written for such a one the hardware counts but does not name. A guest that ends its
interrupts by one write, as Linux does, never goes there.
"""

from hv.arm64.gicv2 import gicv2
from hv.arm64.guest_map import is_gicv2, places_of
from hv.arm64.virq import end_by_register
from hv.common.mm.p2m import GuestKind
from hv.common.mm.types import Gaddr, gfn_of, mfn_of
from hv.common.model.domain import Domain
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Bits, Extension, Field, Final, raises, u8, u32, u64

DIR: Final[u64] = 0  # offset into the second page


class Deactivation(Bits[u64]):
    """GICC_DIR (4.4.15)."""

    intid = Field(9, 0)
    sender = Field(12, 10)


class GuestInterface(Extension[Domain]):
    unused: u8

    @raises
    def init(self, owner: Domain) -> None:
        """ENOMEM: no memory for tables."""
        if is_gicv2():
            p2m = DomainMemory.of(owner).p2m
            p2m.add(gfn_of(Gaddr(places_of(owner.config).cpus)), mfn_of(gicv2.virtual), 0, GuestKind.DEVICE).flush()


def write(vcpu: Vcpu, offset: u64, size: u32, value: u64) -> None:
    """To the second page, of which nothing can be read."""
    if offset == DIR and size == 4:
        end_by_register(vcpu, Deactivation(value).intid)
