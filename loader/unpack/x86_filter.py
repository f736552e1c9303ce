"""The x86 filter of .xz, undone: operands of CALL and JMP (E8, E9) that were made absolute become relative again.

An opcode's operand is the four bytes behind it, and counts when the highest of them is 00 or FF. Opcodes that were
passed over within the last three bytes may have had the bytes at hand as operands: of one such alone, the operand's
highest byte decides; of several, nothing is changed.
Source: The .xz File Format 1.1.0, section 5.3.2, and the behaviour of XZ Utils, which it refers to.
"""

from hv.common.lib.span import Bytes
from hv.lang import Final, array, ptr, truncate, u8, u32, u64, unbounded

OPERAND: Final[u64] = 4
INSTRUCTION: Final[u32] = 5
SIGN: Final[u32] = 0x0100_0000
NO_SINGLE: Final[u32] = 4
DISTANCE: Final[array[u32, 8]] = array(0, 1, 2, NO_SINGLE, 3, NO_SINGLE, NO_SINGLE, NO_SINGLE)
"""Of the opcode that was passed over, by the bits that tell where there are such: bit 0 stands for one byte before."""


@unbounded("ends with the data")
def undo_x86_filter(data: Bytes) -> None:
    """In place; the data begin where a filter began, at offset 0. The last four bytes are never an instruction."""
    if data.length <= OPERAND:
        return
    bytes = ptr[u8](data.address)
    end = data.length - OPERAND
    passed: u32 = 0  # opcodes in the three bytes before
    last: u64 = 0  # where the last of them stood
    at: u64 = 0
    while at < end:
        if bytes[at] & 0xFE != 0xE8:
            at += 1
            continue
        # Shifted by as much as was passed since; far ones are forgotten.
        since = at - last
        passed = passed << u32(since - 1) & 7 if since - 1 < 3 else 0
        last = at
        distance = DISTANCE[passed]
        if distance == NO_SINGLE or (distance != 0 and is_extension(bytes[at + OPERAND - u64(distance)])):
            passed = (passed << 1 | 1) & 7
            at += 1
            continue
        if not is_extension(bytes[at + OPERAND]):
            passed = (passed << 1 | 1) & 7
            at += 1
            continue
        put_operand(bytes + at + 1, relative(operand(bytes + at + 1), truncate(u32, at) + INSTRUCTION, distance))
        at += OPERAND + 1


def is_extension(byte: u8) -> bool:
    """Whether an operand with this highest byte is near: a sign and nothing else."""
    return byte == 0 or byte == 0xFF


def relative(absolute: u32, behind: u32, distance: u32) -> u32:
    """The operand of an instruction that ends at `behind`. With an opcode passed over at a distance, an operand whose
    deciding byte became an extension by the subtraction was stored complemented."""
    found = absolute - behind
    if distance != 0 and is_extension(truncate(u8, found >> (24 - distance * 8))):
        found = (found ^ ((u32(1) << (32 - distance * 8)) - 1)) - behind
    found &= 2 * SIGN - 1
    return found | ~(SIGN - 1) if found & SIGN != 0 else found


def operand(bytes: ptr[u8]) -> u32:
    return u32(bytes[0]) | u32(bytes[1]) << 8 | u32(bytes[2]) << 16 | u32(bytes[3]) << 24


def put_operand(bytes: ptr[u8], value: u32) -> None:
    bytes[0] = truncate(u8, value)
    bytes[1] = truncate(u8, value >> 8)
    bytes[2] = truncate(u8, value >> 16)
    bytes[3] = truncate(u8, value >> 24)
