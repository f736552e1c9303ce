"""The virtual distributor's registers (Arm IHI 0069, 12.9).

Affinity routing is always on, there is one security state, neither LPIs nor message-based interrupts. Registers that
are not there read as zero and ignore writes, as do accesses of a size that a register does not offer.
"""

from hv.arm64.spis import retarget
from hv.arm64.vgic_banks import BITS_START, CONFIGURATION_END, bank_number, concerns_lists, read_bank, write_bank
from hv.arm64.vgic_ids import IIDR, START, read_id
from hv.arm64.vgic_state import BANK, GROUP0, GROUP1, Notices, Vgic, target_of
from hv.arm64.virq import settle
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import Bits, Field, Final, truncate, u32, u64

CTLR: Final[u64] = 0x0000
TYPER: Final[u64] = 0x0004
IIDR_OFFSET: Final[u64] = 0x0008
ROUTES: Final[u64] = 0x6000 + 8 * 32  # GICD_IROUTER32
ROUTES_END: Final[u64] = 0x6000 + 8 * 1020
ROUTE_BITS: Final[u64] = 0xFF_80FF_FFFF  # the four fields of the affinity, and one of several

GROUPS: Final[u32] = GROUP0 | GROUP1
ALWAYS: Final[u32] = 1 << 4 | 1 << 6  # ARE: affinity routing; DS: one security state


class DistributorType(Bits[u64]):
    """GICD_TYPER."""

    banks = Field(4, 0)  # less one
    id_bits = Field(23, 19)  # less one
    affinity3 = Field(24)
    one_target = Field(25)  # No1N: an interrupt is not offered to several CPUs


TYPE: Final = DistributorType(banks=0, id_bits=9, affinity3=False, one_target=True)


def read(vcpu: Vcpu, offset: u64, size: u32) -> u64:
    if size == 4:
        match offset:
            case 0x0004:
                return TYPE.raw | u64(Vgic.of(vcpu.domain).banks)
            case 0x0000:
                return u64(Vgic.of(vcpu.domain).groups | ALWAYS)
            case 0x0008:
                return IIDR
            case _:
                pass
        if offset >= START:
            return read_id(offset)
    if BITS_START <= offset < CONFIGURATION_END:
        return _read_bank(vcpu, offset, size)
    if ROUTES <= offset < ROUTES_END:
        return _read_route(Vgic.of(vcpu.domain), offset, size)
    return 0


def write(vcpu: Vcpu, offset: u64, size: u32, value: u64) -> None:
    domain = vcpu.domain
    notices = Notices()
    if offset == CTLR:
        if size == 4:
            _write_control(domain, truncate(u32, value), notices)
    elif BITS_START <= offset < CONFIGURATION_END:
        _write_bank(vcpu, offset, size, value, notices)
    elif ROUTES <= offset < ROUTES_END:
        _write_route(domain, offset, size, value, notices)
    notices.deliver(domain)


def _write_control(domain: Domain, value: u32, notices: Notices) -> None:
    vgic = Vgic.of(domain)
    with vgic.lock:
        if vgic.groups != value & GROUPS:
            vgic.groups = value & GROUPS
            notices.add_all(domain)


def _read_bank(vcpu: Vcpu, offset: u64, size: u32) -> u64:
    number = bank_number(offset)
    vgic = Vgic.of(vcpu.domain)
    if number == 0 or number > vgic.banks:
        return 0  # with affinity routing a vCPU's own interrupts are its redistributor's
    if concerns_lists(offset):
        settle(vcpu, vgic.shared[number - 1])
    with vgic.lock as held:
        return read_bank(held, vgic.shared[number - 1], offset, size)


def _write_bank(vcpu: Vcpu, offset: u64, size: u32, value: u64, notices: Notices) -> None:
    number = bank_number(offset)
    vgic = Vgic.of(vcpu.domain)
    if number == 0 or number > vgic.banks:
        return
    if concerns_lists(offset):
        settle(vcpu, vgic.shared[number - 1])
    with vgic.lock as held:
        write_bank(held, vgic.shared[number - 1], offset, size, value, False, notices)


def _read_route(vgic: Vgic, offset: u64, size: u32) -> u64:
    """A route is read as a whole or by halves."""
    index = u32((offset - ROUTES) // 8)
    if index >= vgic.banks * BANK or size < 4:
        return 0
    if size == 8:
        return vgic.routes[index]
    return vgic.routes[index] >> offset % 8 * 8 & 0xFFFF_FFFF


def _write_route(domain: Domain, offset: u64, size: u32, value: u64, notices: Notices) -> None:
    index = u32((offset - ROUTES) // 8)
    vgic = Vgic.of(domain)
    if index >= vgic.banks * BANK or size < 4:
        return
    with vgic.lock:
        route = value
        if size == 4:
            shift = offset % 8 * 8
            route = vgic.routes[index] & ~(0xFFFF_FFFF << shift) | (value & 0xFFFF_FFFF) << shift
        vgic.routes[index] = route & ROUTE_BITS
        bank = vgic.shared[index // BANK]
        i = index % BANK
        if bank.listed >> i & 1 != 0:
            notices.add(bank.holder[i])
        bank.target[i] = target_of(domain, vgic.routes[index])
        notices.add(bank.target[i])
        if bank.assigned >> i & 1 != 0:
            retarget(domain, bank, i)
