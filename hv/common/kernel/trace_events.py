"""Trace events: their numbers and arguments, as Xen's tools know them.

An event's number names one class (bits 16 to 27) and one subclass (bits 12 to 15); a mask of events has the bits of
those that are wanted. `arguments` names the words of a record, as Xen fills them in.

arm64 has no exits in Xen's list: they are told in the class of the virtual machines of x86, HVM_VMEXIT64 with the
exception class of the syndrome (ESR_EL2.EC) as reason, and HVM_VMENTRY. Xen's tools give reasons the names that x86 has
for these numbers, and take none above 0x38.

Source: public/trace.h.
"""

from hv.lang import Final, U32Enum, u32

ALL_EVENTS: Final[u32] = 0x0FFF_F000  # TRC_ALL
CLASSES: Final[u32] = 0x0FFF_0000
SUBCLASSES: Final[u32] = 0x0000_F000
MAX_EXTRA: Final = 7  # words of a record, besides its time

IDLE_DOMAIN: Final[u32] = 0x7FFF  # whose vCPU n is CPU n without work (DOMID_IDLE of Xen's)
IRQ: Final[u32] = 0x02  # reasons of an exit on arm64 without a syndrome: a class that the architecture leaves free,
SERROR: Final[u32] = 0x2F  # and the one of SError


class Event(U32Enum):
    """TRC_* of public/trace.h."""

    LOST_RECORDS = 0x0001_F001
    TRACE_WRAP_BUFFER = 0x0001_F002
    TRACE_CPU_CHANGE = 0x0001_F003
    SCHED_RUNSTATE_CHANGE = 0x0002_1001
    SCHED_CONTINUE_RUNNING = 0x0002_1002
    SCHED_DOM_ADD = 0x0002_8001
    SCHED_DOM_REM = 0x0002_8002
    SCHED_SLEEP = 0x0002_8003
    SCHED_WAKE = 0x0002_8004
    SCHED_YIELD = 0x0002_8005
    SCHED_BLOCK = 0x0002_8006
    SCHED_SHUTDOWN = 0x0002_8007
    SCHED_SWITCH = 0x0002_800A
    SCHED_S_TIMER_FN = 0x0002_800B
    SCHED_DOM_TIMER_FN = 0x0002_800D
    DOM0_DOM_ADD = 0x0004_1001
    DOM0_DOM_REM = 0x0004_1002
    HVM_VMENTRY = 0x0008_1001
    HVM_VMEXIT64 = 0x0008_1102
    PM_IDLE_ENTRY = 0x0080_1002
    PM_IDLE_EXIT = 0x0080_1003
    HW_IRQ_UNMAPPED_VECTOR = 0x0080_2007
    HW_IRQ_HANDLED = 0x0080_2008


def arguments(event: Event) -> str:
    """The names of a record's words, with commas between them."""
    match event:
        case Event.LOST_RECORDS:
            return "records,vcpu+domain,since,since_high"
        case Event.TRACE_CPU_CHANGE:
            return "cpu,bytes"
        case Event.SCHED_RUNSTATE_CHANGE | Event.SCHED_CONTINUE_RUNNING:
            return "domain+vcpu"
        case Event.SCHED_DOM_ADD | Event.SCHED_DOM_REM | Event.SCHED_SLEEP | Event.SCHED_WAKE:
            return "domain,vcpu"
        case Event.SCHED_YIELD | Event.SCHED_BLOCK | Event.SCHED_DOM_TIMER_FN:
            return "domain,vcpu"
        case Event.SCHED_SHUTDOWN:
            return "domain,vcpu,reason"
        case Event.SCHED_SWITCH:
            return "from_domain,from_vcpu,domain,vcpu"
        case Event.DOM0_DOM_ADD | Event.DOM0_DOM_REM:
            return "domain"
        case Event.HVM_VMEXIT64:
            return "reason,pc,pc_high"
        case Event.PM_IDLE_ENTRY:
            return "state,at,expected"
        case Event.PM_IDLE_EXIT:
            return "state,at,irq,irq,irq,irq"
        case Event.HW_IRQ_UNMAPPED_VECTOR:
            return "vector"
        case Event.HW_IRQ_HANDLED:
            return "irq,from,until"
        case _:
            return ""
