"""What a guest finds where: its physical addresses, its interrupts, its CPUs' places.

Source: Xen's public/arch-arm.h (GUEST_*), which Xen's guests rely on. RAM lies above; it and the rest of the map
belong to the domain builder. A guest that has its memory where the machine has it has controller and UART there, too,
as in Xen: at the usual places there may be memory.
"""

from hv.common.model.domain import Domain, DomainConfig
from hv.config import CONFIG_GICV2, CONFIG_GICV3
from hv.lang import Extension, Final, u32, u64, value

GICD_BASE: Final[u64] = 0x0300_1000
GICD_SIZE: Final[u64] = 0x1_0000
GICV2_GICD_SIZE: Final[u64] = 0x1000
GICC_BASE: Final[u64] = 0x0300_2000  # of a GICv2: the CPU interface, two pages
GICC_SIZE: Final[u64] = 0x2000
GICR_BASE: Final[u64] = 0x0302_0000
GICR_STRIDE: Final[u64] = 0x2_0000  # of one vCPU's redistributor: two frames of 64 KiB
GICR_SIZE: Final[u64] = 0x100_0000  # room for 128 redistributors
VPL011_BASE: Final[u64] = 0x2200_0000
VPL011_SIZE: Final[u64] = 0x1000

VIRTUAL_TIMER: Final[u32] = 27  # interrupts, by INTID
PHYSICAL_TIMER: Final[u32] = 30
VPL011_INTERRUPT: Final[u32] = 32

CLUSTER: Final[u32] = 16  # vCPUs that one write to ICC_SGI1R_EL1 can name


def affinity_of(vcpu: u32) -> u64:
    """A vCPU's place, as its MPIDR_EL1 and the `reg` of its node in the guest's tree have it."""
    return u64(vcpu // CLUSTER) << 8 | u64(vcpu % CLUSTER)


def vcpu_at(affinity: u64) -> u32:
    """The inverse, for the four affinity fields of MPIDR_EL1 as a guest wrote them: a number that no vCPU has when
    they name none.
    """
    if affinity & ~u64(0xFF0F) != 0:
        return NO_VCPU
    return u32(affinity >> 8) * CLUSTER + u32(affinity & 0xF)


NO_VCPU: Final[u32] = 0xFFFF

GICV2_VCPUS: Final[u32] = 8  # that a GICv2 can serve


@value
class Places:
    """Where interrupt controller and UART are."""

    distributor: u64
    cpus: u64  # a GICv2's CPU interface, or the first of a GICv3's redistributors
    cpus_bytes: u64
    uart: u64
    uart_interrupt: u32


class Machine:
    """What of it depends on the machine below; set at boot."""

    gicv2: bool  # guests get a GICv2
    own: Places  # the machine's


machine: Final = Machine()


def is_gicv2() -> bool:
    """Whether guests get a GICv2. Otherwise they get a GICv3."""
    if CONFIG_GICV2 and CONFIG_GICV3:
        return machine.gicv2
    return CONFIG_GICV2


def places_of(config: DomainConfig) -> Places:
    """Of a guest that is made with this."""
    own = config.set_aside
    return places_for(own is not None and own.direct, config.vcpus)


def places_for(direct: bool, vcpus: u32) -> Places:
    """Of a guest with so many vCPUs that has the machine's places, or the usual ones."""
    bytes = GICC_SIZE if is_gicv2() else GICR_SIZE
    if direct:
        own = machine.own
        if not is_gicv2():
            bytes = GICR_STRIDE * u64(vcpus)
        return Places(own.distributor, own.cpus, bytes, own.uart, own.uart_interrupt)
    return Places(GICD_BASE, GICC_BASE if is_gicv2() else GICR_BASE, bytes, VPL011_BASE, VPL011_INTERRUPT)


class GuestPlaces(Extension[Domain]):
    at: Places

    def init(self, owner: Domain) -> None:
        self.at = places_of(owner.config)
