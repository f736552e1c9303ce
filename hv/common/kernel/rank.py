"""The order in which locks are taken.

A CPU that holds a lock may take only locks of a higher rank. Two locks of one rank are never held together.
"""

from hv.lang import U8Enum


class Rank(U8Enum):
    CONSOLE_INPUT = 0
    DOMAIN_LIST = 1
    DOMAIN = 2
    SCHEDULER = 3
    VUART = 4
    VGIC = 5
    LOCAL_APIC = 6
    P2M = 7
    TRACE = 8
    POOL = 9
    HEAP = 10
    RECLAIM = 11
    TIMER = 12
    INTERRUPT = 13
    PCI = 14
    CONSOLE = 15
