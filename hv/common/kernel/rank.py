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
    CONSOLE_RING = 6
    VUART = 7
    VGIC = 8
    LOCAL_APIC = 9
    VCPU_TIMER = 10
    PV_CLOCK = 11
    SHARED_INFO = 12
    GRANT_TABLE = 13
    EVENT_QUEUE = 14
    P2M = 15
    IOMMU = 16
    DOMAIN_WATCHDOG = 17
    TRACE = 18
    ADDRESS_SPACE = 19
    POOL = 20
    HEAP = 21
    RECLAIM = 22
    TIMER = 23
    INTERRUPT = 24
    PCI = 25
    CONSOLE = 26
