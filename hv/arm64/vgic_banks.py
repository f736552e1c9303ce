"""The registers that the distributor and the redistributors have in common: one bit, two or eight for each interrupt
(Arm IHI 0069, 12.9).

What a register shows of pending and active interrupts that are in list registers lags behind: who reads or changes
those calls `settle` first (virq.py).
"""

from hv.arm64.spi_lines import forget, mask, shown_pending, unmask, withdraw
from hv.arm64.vgic_state import BANK, PRIORITY_BITS, SGIS, Bank, Notices
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.lang import Final, U8Enum, trailing_zeros, truncate, u8, u32, u64, unbounded

BITS_START: Final[u64] = 0x080
PRIORITIES: Final[u64] = 0x400
TARGETS: Final[u64] = 0x800  # legacy: read as zero with affinity routing
CONFIGURATION: Final[u64] = 0xC00
CONFIGURATION_END: Final[u64] = 0xD00

EDGE_BITS: Final[u32] = 0xAAAA_AAAA  # in ICFGR: of each two bits the upper one


class BitRegister(U8Enum):
    """One bit for each interrupt, at BITS_START and every 0x80 bytes behind."""

    GROUP = 1
    SET_ENABLE = 2
    CLEAR_ENABLE = 3
    SET_PENDING = 4
    CLEAR_PENDING = 5
    SET_ACTIVE = 6
    CLEAR_ACTIVE = 7


def bank_number(offset: u64) -> u32:
    """Which bank's register lies there: 0 is the vCPU's own."""
    if offset < PRIORITIES:
        return u32(offset % 0x80) // 4
    if offset < TARGETS:
        return u32(offset % 0x400) // BANK
    return u32(offset % 0x100) // 8


def concerns_lists(offset: u64) -> bool:
    """Whether the register shows what a list register may know better."""
    return 0x200 <= offset < PRIORITIES


def read_bank(held: Held[Rank.VGIC], bank: Bank, offset: u64, size: u32) -> u64:
    """The register of this bank at an offset from BITS_START to CONFIGURATION_END; what there is not reads as zero."""
    if PRIORITIES <= offset < TARGETS:
        return _read_priorities(bank, offset, size)
    if size != 4:
        return 0
    if offset < PRIORITIES:
        return u64(_read_bits(bank, BitRegister(u8(offset // 0x80))))
    if offset >= CONFIGURATION:
        return u64(_spread(bank.edge >> _first_of(offset) & SGIS))
    return 0


def write_bank(
    held: Held[Rank.VGIC], bank: Bank, offset: u64, size: u32, value: u64, own: bool, notices: Notices
) -> None:
    """`own`: the bank is one vCPU's, whose triggers cannot be chosen."""
    if PRIORITIES <= offset < TARGETS:
        _write_priorities(bank, offset, size, value, notices)
    elif size != 4:
        return
    elif offset < PRIORITIES:
        _write_bits(bank, BitRegister(u8(offset // 0x80)), truncate(u32, value), notices)
    elif offset >= CONFIGURATION and not own:
        first = _first_of(offset)
        before = bank.edge
        bank.edge = before & ~(SGIS << first) | _gather(truncate(u32, value)) << first
        _note(bank, before ^ bank.edge, notices)


def _read_bits(bank: Bank, register: BitRegister) -> u32:
    match register:
        case BitRegister.GROUP:
            return bank.group1
        case BitRegister.SET_ENABLE | BitRegister.CLEAR_ENABLE:
            return bank.enabled
        case BitRegister.SET_PENDING | BitRegister.CLEAR_PENDING:
            return shown_pending(bank)
        case BitRegister.SET_ACTIVE | BitRegister.CLEAR_ACTIVE:
            return bank.active


def _write_bits(bank: Bank, register: BitRegister, written: u32, notices: Notices) -> None:
    bits = written & bank.present
    changed = bits
    match register:
        case BitRegister.GROUP:
            changed = bank.group1 ^ bits
            bank.group1 = bits
        case BitRegister.SET_ENABLE:
            unmask(bank, bits & ~bank.enabled & bank.assigned)
            bank.enabled |= bits
        case BitRegister.CLEAR_ENABLE:
            mask(bank, bits & bank.enabled & bank.assigned)
            bank.enabled &= ~bits
        case BitRegister.SET_PENDING:
            bank.latched |= bits
        case BitRegister.CLEAR_PENDING:
            bank.latched &= ~bits
            forget(bank, bits & ~bank.listed & bank.assigned)
        case BitRegister.SET_ACTIVE:
            _activate(bank, bits & ~bank.active & ~bank.listed)
        case BitRegister.CLEAR_ACTIVE:
            _deactivate(bank, bits & ~bank.listed)
    _note(bank, changed, notices)


@unbounded("each step takes one bit of a word")
def _activate(bank: Bank, bits: u32) -> None:
    bank.active |= bits
    left = bits
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        bank.holder[i] = bank.target[i]


def _deactivate(bank: Bank, bits: u32) -> None:
    bank.active &= ~bits
    withdraw(bank, bits & bank.linked & bank.assigned)
    bank.linked &= ~bits


@unbounded("each step takes one bit of a word")
def _note(bank: Bank, bits: u32, notices: Notices) -> None:
    """Names the vCPUs that these interrupts concern, unless they are idle."""
    busy = bank.listed | bank.active
    left = bits & (bank.pending | busy)
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        notices.add(bank.target[i])
        if busy >> i & 1 != 0:
            notices.add(bank.holder[i])


def _read_priorities(bank: Bank, offset: u64, size: u32) -> u64:
    first = u32(offset % BANK)
    if size == 1:
        return u64(bank.priority[first])
    if size != 4:
        return 0
    word: u64 = 0
    for i in range(4):
        word |= u64(bank.priority[first + i]) << 8 * i
    return word


def _write_priorities(bank: Bank, offset: u64, size: u32, value: u64, notices: Notices) -> None:
    first = u32(offset % BANK)
    if size == 1:
        bank.priority[first] = truncate(u8, value) & PRIORITY_BITS
        _note(bank, u32(1) << first, notices)
    elif size == 4:
        for i in range(4):
            bank.priority[first + i] = truncate(u8, value >> 8 * i) & PRIORITY_BITS
        _note(bank, u32(0xF) << first, notices)


def _first_of(offset: u64) -> u32:
    """The first of a register's 16 interrupts, in the bank."""
    return u32(offset // 4 % 2) * 16


def _spread(bits: u32) -> u32:
    """Sixteen bits to the upper bits of sixteen pairs."""
    word: u32 = 0
    for i in range(16):
        word |= (bits >> i & 1) << 2 * i + 1
    return word


def _gather(word: u32) -> u32:
    bits: u32 = 0
    for i in range(16):
        bits |= (word >> 2 * i + 1 & 1) << i
    return bits
