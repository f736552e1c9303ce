"""The order in which locks are taken.

A CPU that holds a lock may take only locks of a higher rank. Two locks of one rank are never held together.
"""

from hv.lang import U8Enum


class Rank(U8Enum):
    CONSOLE_INPUT = 0
    DOMAIN_LIST = 1
    DOMAIN = 2
    EVENT_PORTS = 3
    EVENT_CHANNEL = 4
    SCHEDULER = 5
    VUART = 6
    VGIC = 7
    LOCAL_APIC = 8
    VCPU_TIMER = 9
    PV_CLOCK = 10
    SHARED_INFO = 11
    EVENT_QUEUE = 12
    P2M = 13
    TRACE = 14
    POOL = 15
    HEAP = 16
    RECLAIM = 17
    TIMER = 18
    INTERRUPT = 19
    PCI = 20
    CONSOLE = 21
