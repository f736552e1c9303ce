"""Device registers that the hypervisor plays for a guest: which device lies at an address, and one access to it.

An address is within its device, aligned to the size of the access (1, 2, 4 or 8 bytes), and the value is no wider.
"""

from hv.arm64.guest_map import GICC_SIZE, GICD_SIZE, GICV2_GICD_SIZE, VPL011_SIZE, GuestPlaces, is_gicv2
from hv.common.mm.types import PAGE_SIZE
from hv.common.model.vcpu import Vcpu
from hv.config import CONFIG_GICV2, CONFIG_GICV3, CONFIG_VPL011
from hv.lang import Final, U8Enum, apart, truncate, u32, u64

if CONFIG_GICV2:
    from hv.arm64 import vgic2_dist, vgic2_page
if CONFIG_GICV3:
    from hv.arm64 import vgic_dist, vgic_redist
if CONFIG_VPL011:
    from hv.arm64.vpl011 import Vpl011


class Device(U8Enum):
    NONE = 0
    DISTRIBUTOR = 1
    REDISTRIBUTORS = 2
    UART = 3
    GICV2 = 4  # its distributor, and the second page of its CPU interface


SECOND_BYTES: Final[u64] = GICC_SIZE - PAGE_SIZE


def device_at(vcpu: Vcpu, address: u64) -> Device:
    places = GuestPlaces.of(vcpu.domain)
    if address - places.at.distributor < GICD_SIZE:
        return gicv2_at(places, address) if is_gicv2() else Device.DISTRIBUTOR
    if address - places.at.uart < VPL011_SIZE:
        return Device.UART if vcpu.domain.config.uart else Device.NONE
    if address - places.at.cpus < places.at.cpus_bytes:
        if CONFIG_GICV3 and not is_gicv2():
            return Device.REDISTRIBUTORS if vgic_redist.exists(vcpu, address - places.at.cpus) else Device.NONE
        return gicv2_at(places, address)
    return Device.NONE


@apart
def gicv2_at(places: GuestPlaces, address: u64) -> Device:
    """Its distributor is smaller than a GICv3's, and may have its CPU interface behind it."""
    if address - places.at.distributor < GICV2_GICD_SIZE or address - places.at.cpus - PAGE_SIZE < SECOND_BYTES:
        return Device.GICV2
    return Device.NONE


def read(vcpu: Vcpu, device: Device, address: u64, size: u32) -> u64:
    match device:
        case Device.DISTRIBUTOR:
            if CONFIG_GICV3:
                return vgic_dist.read(vcpu, address - GuestPlaces.of(vcpu.domain).at.distributor, size)
            return 0
        case Device.UART:
            if CONFIG_VPL011:
                return Vpl011.of(vcpu.domain).read(address - GuestPlaces.of(vcpu.domain).at.uart)
            return 0
        case Device.REDISTRIBUTORS:
            if CONFIG_GICV3:
                return vgic_redist.read(vcpu, address - GuestPlaces.of(vcpu.domain).at.cpus, size)
            return 0
        case Device.GICV2:
            return read_gicv2(vcpu, address, size)
        case Device.NONE:
            return 0


def write(vcpu: Vcpu, device: Device, address: u64, size: u32, value: u64) -> None:
    match device:
        case Device.DISTRIBUTOR:
            if CONFIG_GICV3:
                vgic_dist.write(vcpu, address - GuestPlaces.of(vcpu.domain).at.distributor, size, value)
        case Device.UART:
            if CONFIG_VPL011:
                Vpl011.of(vcpu.domain).write(address - GuestPlaces.of(vcpu.domain).at.uart, truncate(u32, value))
        case Device.REDISTRIBUTORS:
            if CONFIG_GICV3:
                vgic_redist.write(vcpu, address - GuestPlaces.of(vcpu.domain).at.cpus, size, value)
        case Device.GICV2:
            write_gicv2(vcpu, address, size, value)
        case Device.NONE:
            pass


@apart
def read_gicv2(vcpu: Vcpu, address: u64, size: u32) -> u64:
    offset = address - GuestPlaces.of(vcpu.domain).at.distributor
    return vgic2_dist.read(vcpu, offset, size) if CONFIG_GICV2 and offset < GICV2_GICD_SIZE else 0


@apart
def write_gicv2(vcpu: Vcpu, address: u64, size: u32, value: u64) -> None:
    if CONFIG_GICV2:
        at = GuestPlaces.of(vcpu.domain).at
        offset = address - at.distributor
        if offset < GICV2_GICD_SIZE:
            vgic2_dist.write(vcpu, offset, size, value)
        else:
            vgic2_page.write(vcpu, address - at.cpus - PAGE_SIZE, size, value)
