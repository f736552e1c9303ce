"""The virtual GICv2's distributor registers (Arm IHI 0048B, 4.3).

There are no Security Extensions. A vCPU's own interrupts (SGI, PPI) are banked: each vCPU finds its own at the same
place. Registers are words; priorities, targets and the senders of SGIs are bytes as well. Registers that are not there
read as zero and ignore writes, as do accesses of another size.
"""

from hv.arm64 import vgic2_sgi
from hv.arm64.spis import retarget
from hv.arm64.vgic2_sgi import CLEAR_SENDERS, SENDERS_END, SGIR
from hv.arm64.vgic_banks import (
    BITS_START,
    CONFIGURATION,
    CONFIGURATION_END,
    TARGETS,
    bank_number,
    concerns_lists,
    read_bank,
    write_bank,
)
from hv.arm64.vgic_state import (
    BANK,
    GROUP0,
    GROUP1,
    SGIS,
    Bank,
    Notices,
    Vgic,
    VgicCpu,
    target_among,
)
from hv.arm64.virq import settle
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import Bits, Field, Final, truncate, u8, u32, u64

PENDING: Final[u64] = 0x200  # GICD_ISPENDR0, and GICD_ICPENDR0 behind PENDING_WORDS
PENDING_WORDS: Final[u64] = 0x80
OWN_TARGETS_END: Final[u64] = 0x820  # of GICD_ITARGETSR: a vCPU's own interrupts are all for it
IDS: Final[u64] = 0xFD0
GROUPS: Final[u32] = GROUP0 | GROUP1
IIDR: Final[u64] = 0x43B  # implementer: Arm


class DistributorType(Bits[u64]):
    """GICD_TYPER (4.3.2)."""

    banks = Field(4, 0)  # less one
    cpus = Field(7, 5)  # less one


def read(vcpu: Vcpu, offset: u64, size: u32) -> u64:
    if size == 4:
        match offset:
            case 0x000:
                return u64(Vgic.of(vcpu.domain).groups)
            case 0x004:
                return DistributorType(
                    banks=u64(Vgic.of(vcpu.domain).banks), cpus=u64(vcpu.domain.config.vcpus - 1)
                ).raw
            case 0x008:
                return IIDR
            case _:
                pass
        if offset >= IDS:
            return read_id(offset)
    if TARGETS <= offset < CONFIGURATION:
        return _read_targets(vcpu, offset, size)
    if BITS_START <= offset < CONFIGURATION_END:
        return _read_bank(vcpu, offset, size)
    if CLEAR_SENDERS <= offset < SENDERS_END:
        return vgic2_sgi.read_senders(vcpu, offset, size)
    return 0


def write(vcpu: Vcpu, offset: u64, size: u32, value: u64) -> None:
    domain = vcpu.domain
    notices = Notices()
    if offset == 0:
        if size == 4:
            _write_control(domain, truncate(u32, value), notices)
    elif TARGETS <= offset < CONFIGURATION:
        _write_targets(domain, offset, size, value, notices)
    elif BITS_START <= offset < CONFIGURATION_END:
        _write_bank(vcpu, offset, size, value, notices)
    elif offset == SGIR:
        if size == 4:
            vgic2_sgi.send(vcpu, value, notices)
    elif CLEAR_SENDERS <= offset < SENDERS_END:
        vgic2_sgi.write_senders(vcpu, offset, size, value, notices)
    notices.deliver(domain)


def _write_control(domain: Domain, value: u32, notices: Notices) -> None:
    vgic = Vgic.of(domain)
    with vgic.lock:
        if vgic.groups != value & GROUPS:
            vgic.groups = value & GROUPS
            notices.add_all(domain)


# Banks


def _bank(vcpu: Vcpu, number: u32) -> Bank:
    return VgicCpu.of(vcpu).private if number == 0 else Vgic.of(vcpu.domain).shared[number - 1]


def _read_bank(vcpu: Vcpu, offset: u64, size: u32) -> u64:
    number = bank_number(offset)
    if number > Vgic.of(vcpu.domain).banks:
        return 0
    bank = _bank(vcpu, number)
    if concerns_lists(offset):
        settle(vcpu, bank)
    with Vgic.of(vcpu.domain).lock as held:
        return read_bank(held, bank, offset, size)


def _write_bank(vcpu: Vcpu, offset: u64, size: u32, value: u64, notices: Notices) -> None:
    number = bank_number(offset)
    if number > Vgic.of(vcpu.domain).banks:
        return
    bank = _bank(vcpu, number)
    if concerns_lists(offset):
        settle(vcpu, bank)
    changed = value
    if offset == PENDING or offset == PENDING + PENDING_WORDS:
        changed &= ~u64(SGIS)  # who has sent them is told by registers of their own
    with Vgic.of(vcpu.domain).lock as held:
        write_bank(held, bank, offset, size, changed, number == 0, notices)


# Targets: a byte for each interrupt, with a bit for each vCPU. With one vCPU they read as zero.


def _read_targets(vcpu: Vcpu, offset: u64, size: u32) -> u64:
    if (size != 1 and size != 4) or vcpu.domain.config.vcpus == 1:
        return 0
    if offset < OWN_TARGETS_END:
        every = (u64(1) << vcpu.id) * 0x0101_0101
        return every if size == 4 else every & 0xFF
    first = u32(offset - OWN_TARGETS_END)
    vgic = Vgic.of(vcpu.domain)
    if first >= vgic.banks * BANK:
        return 0
    if size == 1:
        return vgic.routes[first]
    word: u64 = 0
    for i in range(4):
        word |= vgic.routes[first + i] << 8 * i
    return word


def _write_targets(domain: Domain, offset: u64, size: u32, value: u64, notices: Notices) -> None:
    if (size != 1 and size != 4) or domain.config.vcpus == 1 or offset < OWN_TARGETS_END:
        return
    first = u32(offset - OWN_TARGETS_END)
    vgic = Vgic.of(domain)
    if first >= vgic.banks * BANK:
        return
    with vgic.lock:
        _route(domain, vgic, first, truncate(u8, value), notices)
        if size == 4:
            for i in range(1, 4):
                _route(domain, vgic, first + i, truncate(u8, value >> 8 * i), notices)


def _route(domain: Domain, vgic: Vgic, index: u32, targets: u8, notices: Notices) -> None:
    """With the lock."""
    offered = targets & truncate(u8, (u32(1) << domain.config.vcpus) - 1)
    vgic.routes[index] = u64(offered)
    bank = vgic.shared[index // BANK]
    i = index % BANK
    if bank.listed >> i & 1 != 0:
        notices.add(bank.holder[i])
    bank.target[i] = target_among(offered)
    notices.add(bank.target[i])
    if bank.assigned >> i & 1 != 0:
        retarget(domain, bank, i)


def read_id(offset: u64) -> u64:
    """The identification registers at the end, as a GIC-400 has them (Arm DDI 0471B, 3.2)."""
    match offset:
        case 0xFD0:
            return 0x04  # PIDR4
        case 0xFE0:
            return 0x90  # PIDR0
        case 0xFE4:
            return 0xB4  # PIDR1
        case 0xFE8:
            return 0x2B  # PIDR2: architecture version 2
        case 0xFF0:
            return 0x0D  # CIDR0-3
        case 0xFF4:
            return 0xF0
        case 0xFF8:
            return 0x05
        case 0xFFC:
            return 0xB1
        case _:
            return 0
