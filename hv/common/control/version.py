"""Which Xen the ABI is that of: Debian's tools look for what belongs to that version."""

from hv.lang import Final, u32

ABI_MAJOR: Final[u32] = 4
ABI_MINOR: Final[u32] = 17
EXTRA_VERSION: Final = ".0-constrictor"  # 15 bytes at most
