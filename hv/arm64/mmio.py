"""Device registers that the hypervisor plays for a guest: which device lies at an address, and one access to it.

An address is within its device, aligned to the size of the access (1, 2, 4 or 8 bytes), and the value is no wider.
"""

from hv.arm64.guest_map import (
    GICC_BASE,
    GICC_SIZE,
    GICD_BASE,
    GICD_SIZE,
    GICR_BASE,
    GICR_SIZE,
    GICV2_GICD_SIZE,
    VPL011_BASE,
    VPL011_SIZE,
    is_gicv2,
)
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


GICV2_SECOND: Final[u64] = GICC_BASE + PAGE_SIZE
GICV2_SECOND_BYTES: Final[u64] = GICC_SIZE - PAGE_SIZE


def device_at(vcpu: Vcpu, address: u64) -> Device:
    if address - GICD_BASE < GICD_SIZE:
        return gicv2_at(address) if is_gicv2() else Device.DISTRIBUTOR
    if address - VPL011_BASE < VPL011_SIZE:
        return Device.UART if vcpu.domain.config.uart else Device.NONE
    if CONFIG_GICV3 and not is_gicv2():
        if address - GICR_BASE < GICR_SIZE and vgic_redist.exists(vcpu, address - GICR_BASE):
            return Device.REDISTRIBUTORS
    return Device.NONE


@apart
def gicv2_at(address: u64) -> Device:
    """It is spread over less than a GICv3's distributor."""
    if address - GICD_BASE < GICV2_GICD_SIZE or address - GICV2_SECOND < GICV2_SECOND_BYTES:
        return Device.GICV2
    return Device.NONE


def read(vcpu: Vcpu, device: Device, address: u64, size: u32) -> u64:
    match device:
        case Device.DISTRIBUTOR:
            if CONFIG_GICV3:
                return vgic_dist.read(vcpu, address - GICD_BASE, size)
            return 0
        case Device.UART:
            if CONFIG_VPL011:
                return Vpl011.of(vcpu.domain).read(address - VPL011_BASE)
            return 0
        case Device.REDISTRIBUTORS:
            if CONFIG_GICV3:
                return vgic_redist.read(vcpu, address - GICR_BASE, size)
            return 0
        case Device.GICV2:
            return read_gicv2(vcpu, address, size)
        case Device.NONE:
            return 0


def write(vcpu: Vcpu, device: Device, address: u64, size: u32, value: u64) -> None:
    match device:
        case Device.DISTRIBUTOR:
            if CONFIG_GICV3:
                vgic_dist.write(vcpu, address - GICD_BASE, size, value)
        case Device.UART:
            if CONFIG_VPL011:
                Vpl011.of(vcpu.domain).write(address - VPL011_BASE, truncate(u32, value))
        case Device.REDISTRIBUTORS:
            if CONFIG_GICV3:
                vgic_redist.write(vcpu, address - GICR_BASE, size, value)
        case Device.GICV2:
            write_gicv2(vcpu, address, size, value)
        case Device.NONE:
            pass


@apart
def read_gicv2(vcpu: Vcpu, address: u64, size: u32) -> u64:
    if CONFIG_GICV2 and address < GICV2_SECOND:
        return vgic2_dist.read(vcpu, address - GICD_BASE, size)
    return 0


@apart
def write_gicv2(vcpu: Vcpu, address: u64, size: u32, value: u64) -> None:
    if CONFIG_GICV2:
        if address < GICV2_SECOND:
            vgic2_dist.write(vcpu, address - GICD_BASE, size, value)
        else:
            vgic2_page.write(vcpu, address - GICV2_SECOND, size, value)
