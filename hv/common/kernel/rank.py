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
    TRACE = 17
    ADDRESS_SPACE = 18
    POOL = 19
    HEAP = 20
    RECLAIM = 21
    TIMER = 22
    INTERRUPT = 23
    PCI = 24
    CONSOLE = 25
