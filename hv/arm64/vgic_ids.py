"""The identification registers at the end of each of the vGIC's frames (Arm IHI 0069, 12.1.9; IDs as Arm's own GICs
have them).
"""

from hv.lang import Final, u64

START: Final[u64] = 0xFFD0
IIDR: Final[u64] = 0x43B  # implementer: Arm


def read_id(offset: u64) -> u64:
    match offset:
        case 0xFFD0:
            return 0x44  # PIDR4
        case 0xFFE0:
            return 0x92  # PIDR0
        case 0xFFE4:
            return 0xB4  # PIDR1
        case 0xFFE8:
            return 0x3B  # PIDR2: architecture version 3
        case 0xFFF0:
            return 0x0D  # CIDR0-3
        case 0xFFF4:
            return 0xF0
        case 0xFFF8:
            return 0x05
        case 0xFFFC:
            return 0xB1
        case _:
            return 0
