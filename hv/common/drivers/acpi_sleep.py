r"""What has to be written to put a machine to sleep: found in the DSDT without interpreting it.

`\_S5` is a package of constants in practically every machine: the bytes of its definition are looked for and read,
anything that does not look like one is passed over.

Source: ACPI Specification 6.5, 7.4.2 (\_Sx), 16.1 (SLP_TYP), 20.2 (AML's encoding).
"""

from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, bounded, raises, truncate, u8, u32, u64, value

NAME: Final[u8] = 0x08
ROOT: Final[u8] = 0x5C  # a backslash
PACKAGE: Final[u8] = 0x12
ZERO: Final[u8] = 0x00
ONE: Final[u8] = 0x01
BYTE: Final[u8] = 0x0A
WORD: Final[u8] = 0x0B
DWORD: Final[u8] = 0x0C

HEADER: Final[u64] = 36
SEGMENT: Final[u64] = 4  # bytes of a name
HIGHEST_TYPE: Final[u64] = 7  # SLP_TYP has three bits
MAX_AML: Final = 0x100_0000


@value
class SleepType:
    """What goes into SLP_TYP of the two PM1 control registers."""

    a: u8
    b: u8


@value
class Constant:
    """A number in AML, and where the next object stands."""

    number: u64
    after: u64


@raises
def sleep_type(table: Bytes, name: str) -> SleepType:
    """Of a sleep state such as `_S5_`, from a DSDT or SSDT. ENOENT: the table does not define it by constants."""
    for at in bounded(table.length - min(table.length, SEGMENT - 1), MAX_AML):
        if at > HEADER and _matches(table, at, name) and _defines(table, at):
            try:
                return _package(table, at + SEGMENT)
            except Errno:
                pass
    raise Errno.ENOENT


def _matches(table: Bytes, at: u64, name: str) -> bool:
    return table.byte(at) == ord(name[0]) and table.holds(at, SEGMENT) and table.text(at, SEGMENT) == name


def _defines(table: Bytes, at: u64) -> bool:
    """Whether a definition stands in front of the name, with or without the root's backslash between."""
    before = table.byte(at - 1)
    return before == NAME or (before == ROOT and table.byte(at - 2) == NAME)


@raises
def _package(table: Bytes, at: u64) -> SleepType:
    """EINVAL: no package of constants, or they are no sleep types."""
    if not table.holds(at, 3) or table.byte(at) != PACKAGE:
        raise Errno.EINVAL
    # The package's length takes as many bytes more as the upper bits of its first say (20.2.4).
    lead = table.byte(at + 1)
    more = u64(lead >> 6)
    if not table.holds(at + 1, more + 2):
        raise Errno.EINVAL
    length = u64(lead & 0x3F)
    if more != 0:
        length = u64(lead & 0x0F)
        for i in bounded(more, 3):
            length |= u64(table.byte(at + 2 + i)) << 4 + 8 * i
    if not table.holds(at + 1, length) or length < more + 2:
        raise Errno.EINVAL
    body = table.part(at + 1, length)
    count = u32(body.byte(more + 1))
    first = _constant(body, more + 2)
    # One that has a single element keeps both types in it, as some old machines do.
    second = Constant(first.number >> 8, 0) if count == 1 else _constant(body, first.after)
    low = first.number & 0xFF if count == 1 else first.number
    if count == 0 or low > HIGHEST_TYPE or second.number > HIGHEST_TYPE:
        raise Errno.EINVAL
    return SleepType(truncate(u8, low), truncate(u8, second.number))


@raises
def _constant(body: Bytes, at: u64) -> Constant:
    """EINVAL: no integer constant stands there."""
    if not body.holds(at, 1):
        raise Errno.EINVAL
    prefix = body.byte(at)
    if prefix == ZERO or prefix == ONE:
        return Constant(u64(prefix), at + 1)
    if prefix == BYTE and body.holds(at, 2):
        return Constant(u64(body.byte(at + 1)), at + 2)
    if prefix == WORD and body.holds(at, 3):
        return Constant(u64(body.le16(at + 1)), at + 3)
    if prefix == DWORD and body.holds(at, 5):
        return Constant(u64(body.le32(at + 1)), at + 5)
    raise Errno.EINVAL
