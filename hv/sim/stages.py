"""The kinds of translation tables that are walked, and what they may allow. All have 4 KiB tables of 512 entries."""

from hv.lang import Final, U8Enum, U8Flag, u32, u64

PRESENT: Final[u64] = 1  # bit 0 of an entry of any kind


class Stage(U8Enum):
    HYPERVISOR = 1  # Arm's stage 1 of EL2
    GUEST = 2  # Arm's stage 2
    LONG_MODE = 3
    NESTED = 4  # x86's nested tables


class Rights(U8Flag):
    """What entries allow, and what an access asks for."""

    R = 1
    W = 2
    X = 4
    USER = 8  # on x86: pages that a user's access may reach


ALL: Final[Rights] = Rights(15)


def of_x86(stage: Stage) -> bool:
    return stage == Stage.LONG_MODE or stage == Stage.NESTED


def of_guest(stage: Stage) -> bool:
    return stage == Stage.GUEST or stage == Stage.NESTED


def span(height: u32) -> u64:
    """Frames that an entry of this height maps."""
    return u64(1) << height * 9
