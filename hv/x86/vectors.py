"""Interrupt vectors, by falling priority: a vector's class is its upper four bits (Intel SDM 3A, 10.8.3.1)."""

from hv.lang import Final, u8

SPURIOUS: Final[u8] = 0xFF
KICK: Final[u8] = 0xFB
TIMER: Final[u8] = 0xFA
FIRST_DEVICE: Final[u8] = 0x30
LAST_DEVICE: Final[u8] = 0xEF
LEGACY: Final[u8] = 0x20  # sixteen, of the masked PICs: only what they raise by mistake
