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
    POOL = 7
    HEAP = 8
    TIMER = 9
    INTERRUPT = 10
    CONSOLE = 11
