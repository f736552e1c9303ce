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
    P2M = 6
    TRACE = 7
    POOL = 8
    HEAP = 9
    TIMER = 10
    INTERRUPT = 11
    PCI = 12
    CONSOLE = 13
