"""The virtual redistributors' registers: each vCPU has two frames, the second with its own interrupts (Arm IHI 0069,
12.10, 12.11).

A redistributor is always awake, and has no LPIs. Any vCPU may use any redistributor of its domain.
"""

from hv.arm64.guest_map import GICR_STRIDE, affinity_of
from hv.arm64.vgic_banks import BITS_START, CONFIGURATION_END, bank_number, concerns_lists, read_bank, write_bank
from hv.arm64.vgic_ids import IIDR, START, read_id
from hv.arm64.vgic_state import Notices, Vgic, VgicCpu
from hv.arm64.virq import settle
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.lang import Bits, Field, Final, u32, u64

IIDR_OFFSET: Final[u64] = 0x0004
TYPER: Final[u64] = 0x0008
FRAME: Final[u64] = 0x1_0000


class RedistributorType(Bits[u64]):
    """GICR_TYPER."""

    last = Field(4)
    number = Field(23, 8)
    affinity = Field(63, 32)


def exists(vcpu: Vcpu, offset: u64) -> bool:
    """Whether a redistributor lies at an offset into the region."""
    return offset < GICR_STRIDE * u64(vcpu.domain.config.vcpus)


def read(vcpu: Vcpu, offset: u64, size: u32) -> u64:
    owner = Vcpus.of(vcpu.domain).find(u32(offset // GICR_STRIDE))
    if owner is None:
        return 0
    at = offset % GICR_STRIDE
    if at >= FRAME:
        return _read_private(vcpu, owner, at - FRAME, size)
    if TYPER <= at < TYPER + 8 and size >= 4:
        return _type_of(owner).raw >> at % 8 * 8 & (0xFFFF_FFFF_FFFF_FFFF if size == 8 else 0xFFFF_FFFF)
    if size != 4:
        return 0
    if at == IIDR_OFFSET:
        return IIDR
    return read_id(at) if at >= START else 0


def write(vcpu: Vcpu, offset: u64, size: u32, value: u64) -> None:
    owner = Vcpus.of(vcpu.domain).find(u32(offset // GICR_STRIDE))
    at = offset % GICR_STRIDE
    if owner is None or at < FRAME + BITS_START or at >= FRAME + CONFIGURATION_END:
        return
    register = at - FRAME
    if bank_number(register) != 0:
        return
    bank = VgicCpu.of(owner).private
    if concerns_lists(register):
        settle(vcpu, bank)
    notices = Notices()
    with Vgic.of(vcpu.domain).lock as held:
        write_bank(held, bank, register, size, value, True, notices)
    notices.deliver(vcpu.domain)


def _read_private(vcpu: Vcpu, owner: Vcpu, offset: u64, size: u32) -> u64:
    if offset >= START and size == 4:
        return read_id(offset)
    if offset < BITS_START or offset >= CONFIGURATION_END or bank_number(offset) != 0:
        return 0
    bank = VgicCpu.of(owner).private
    if concerns_lists(offset):
        settle(vcpu, bank)
    with Vgic.of(vcpu.domain).lock as held:
        return read_bank(held, bank, offset, size)


def _type_of(owner: Vcpu) -> RedistributorType:
    place = affinity_of(owner.id)
    return RedistributorType(
        last=owner.id + 1 == owner.domain.config.vcpus,
        number=u64(owner.id),
        affinity=place >> 32 << 24 | place & 0xFF_FFFF,
    )
