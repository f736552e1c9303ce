"""Device registers that the hypervisor plays for a guest: which device lies at an address, and one access to it.

An address is within its device, aligned to the size of the access (1, 2, 4 or 8 bytes), and the value is no wider.
"""

from hv.arm64 import vgic_dist, vgic_redist
from hv.arm64.guest_map import GICD_BASE, GICD_SIZE, GICR_BASE, GICR_SIZE, VPL011_BASE, VPL011_SIZE
from hv.common.model.vcpu import Vcpu
from hv.config import CONFIG_VPL011
from hv.lang import U8Enum, truncate, u32, u64

if CONFIG_VPL011:
    from hv.arm64.vpl011 import Vpl011


class Device(U8Enum):
    NONE = 0
    DISTRIBUTOR = 1
    REDISTRIBUTORS = 2
    UART = 3


def device_at(vcpu: Vcpu, address: u64) -> Device:
    if address - GICD_BASE < GICD_SIZE:
        return Device.DISTRIBUTOR
    if address - VPL011_BASE < VPL011_SIZE:
        return Device.UART if vcpu.domain.config.uart else Device.NONE
    if address - GICR_BASE < GICR_SIZE and vgic_redist.exists(vcpu, address - GICR_BASE):
        return Device.REDISTRIBUTORS
    return Device.NONE


def read(vcpu: Vcpu, device: Device, address: u64, size: u32) -> u64:
    match device:
        case Device.DISTRIBUTOR:
            return vgic_dist.read(vcpu, address - GICD_BASE, size)
        case Device.UART:
            if CONFIG_VPL011:
                return Vpl011.of(vcpu.domain).read(address - VPL011_BASE)
            return 0
        case Device.REDISTRIBUTORS:
            return vgic_redist.read(vcpu, address - GICR_BASE, size)
        case Device.NONE:
            return 0


def write(vcpu: Vcpu, device: Device, address: u64, size: u32, value: u64) -> None:
    match device:
        case Device.DISTRIBUTOR:
            vgic_dist.write(vcpu, address - GICD_BASE, size, value)
        case Device.UART:
            if CONFIG_VPL011:
                Vpl011.of(vcpu.domain).write(address - VPL011_BASE, truncate(u32, value))
        case Device.REDISTRIBUTORS:
            vgic_redist.write(vcpu, address - GICR_BASE, size, value)
        case Device.NONE:
            pass
