"""Arithmetic as the CPU does it, with its flags (Intel SDM 1, 3.4.3.1, and 2, the instructions' pages)."""

from hv.lang import Final, popcount, u32, u64, value
from hv.x86.hvm.decode import mask_of

CARRY: Final[u64] = 1 << 0
PARITY: Final[u64] = 1 << 2
ADJUST: Final[u64] = 1 << 4
ZERO: Final[u64] = 1 << 6
SIGN: Final[u64] = 1 << 7
OVERFLOW: Final[u64] = 1 << 11
CHANGED: Final[u64] = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW

AND: Final = 4
COMPARE: Final = 7


@value
class Result:
    value: u64
    flags: u64  # of CHANGED


def compute(operation: u32, first: u64, second: u64, size: u32, carry: bool) -> Result:
    """ADD OR ADC SBB AND SUB XOR CMP, by their numbers in opcodes; of `size` bytes. `carry` is the flag before."""
    mask = mask_of(size)
    a = first & mask
    b = second & mask
    match operation:
        case 1:
            return logical(a | b, size)
        case 4:
            return logical(a & b, size)
        case 6:
            return logical(a ^ b, size)
        case 0:
            return added(a, b, 0, size)
        case 2:
            return added(a, b, u64(carry), size)
        case 3:
            return subtracted(a, b, u64(carry), size)
        case _:
            return subtracted(a, b, 0, size)


def logical(result: u64, size: u32) -> Result:
    return Result(result, common(result, size))


def added(a: u64, b: u64, carry: u64, size: u32) -> Result:
    result = a + b + carry & mask_of(size)
    flags = common(result, size) | (a ^ b ^ result) & ADJUST
    if result < a or (carry != 0 and result == a):
        flags |= CARRY
    if (a ^ result) & (b ^ result) & sign_of(size) != 0:
        flags |= OVERFLOW
    return Result(result, flags)


def subtracted(a: u64, b: u64, borrow: u64, size: u32) -> Result:
    result = a - b - borrow & mask_of(size)
    flags = common(result, size) | (a ^ b ^ result) & ADJUST
    if a < b or (borrow != 0 and a == b):
        flags |= CARRY
    if (a ^ b) & (a ^ result) & sign_of(size) != 0:
        flags |= OVERFLOW
    return Result(result, flags)


def common(result: u64, size: u32) -> u64:
    flags = ZERO if result == 0 else u64(0)
    if result & sign_of(size) != 0:
        flags |= SIGN
    if popcount(result & 0xFF) % 2 == 0:
        flags |= PARITY
    return flags


def sign_of(size: u32) -> u64:
    return u64(1) << 8 * size - 1
