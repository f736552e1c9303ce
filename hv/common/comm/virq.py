"""Virtual interrupts: what the hypervisor tells domains by event channels (VIRQ_* of public/xen.h)."""

from hv.lang import Final, u32

TIMER: Final[u32] = 0
DEBUG: Final[u32] = 1
XENOPROF: Final[u32] = 7
XENPMU: Final[u32] = 13
VIRQS: Final = 24


def is_global(virq: u32) -> bool:
    """Bound once in a domain, on vCPU 0, and moved freely; the others are each vCPU's own."""
    return virq not in (TIMER, DEBUG, XENOPROF, XENPMU)
