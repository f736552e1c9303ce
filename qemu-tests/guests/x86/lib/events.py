"""Event channels of a unikernel, 2-level (public/xen.h, event_channel.h): where they are told, and one to itself. Each
program has one channel.
"""

from guests.x86.lib.hypercall import EVENT_CHANNEL_OP, HVM_OP, MEMORY_OP, AddToPhysmap, hypercall
from guests.x86.lib.interrupts import upcall
from hv.lang import Final, address_of, ptr, u8, u16, u32, u64

ADD_TO_PHYSMAP: Final[u64] = 7
BIND_IPI: Final[u64] = 7
SEND: Final[u64] = 4
SET_PARAM: Final[u64] = 0
GET_PARAM: Final[u64] = 1
CALLBACK_IRQ: Final[u32] = 0
BY_VECTOR: Final[u64] = 2 << 56
SELF: Final[u16] = 0x7FF0
SHARED_INFO: Final[u32] = 0

PAGE: Final[u64] = 0xFE70_0000  # no memory is there
TIME: Final[u64] = 32  # in a vcpu_info
PENDING: Final[u64] = 0x800
MASK: Final[u64] = 0xA00
MULTIPLIER: Final[u64] = 24  # in a vcpu_time_info
SHIFT: Final[u64] = 28


class BindIpi:
    """evtchn_bind_ipi_t."""

    vcpu: u32
    port: u32


class Send:
    """evtchn_send_t."""

    port: u32


class Param:
    """xen_hvm_param_t."""

    domid: u16
    pad: u16
    index: u32
    value: u64


def get_param(index: u32) -> u64:
    """One of the domain's parameters (public/hvm/params.h). 0: it has none."""
    param = Param()
    param.domid = SELF
    param.index = index
    if hypercall(HVM_OP, GET_PARAM, address_of(param), 0) != 0:
        return 0
    return param.value


def take_events(vector: u64) -> bool:
    """Maps the page that tells of events, which then come as this interrupt vector. False: a call failed."""
    place = AddToPhysmap()
    place.domid = SELF
    place.space = SHARED_INFO
    place.gpfn = PAGE >> 12
    if hypercall(MEMORY_OP, ADD_TO_PHYSMAP, address_of(place), 0) != 0:
        return False
    upcall.vector = vector
    upcall.flag = PAGE
    callback = Param()
    callback.domid = SELF
    callback.index = CALLBACK_IRQ
    callback.value = BY_VECTOR | vector
    return hypercall(HVM_OP, SET_PARAM, address_of(callback), 0) == 0


class Channel:
    port: u32

    def init(self) -> bool:
        """Binds a port to vCPU 0 itself. False: there is none."""
        bound = BindIpi()
        if hypercall(EVENT_CHANNEL_OP, BIND_IPI, address_of(bound), 0) != 0:
            return False
        self.port = bound.port
        return True

    def raise_event(self) -> u64:
        event = Send()
        event.port = self.port
        return hypercall(EVENT_CHANNEL_OP, SEND, address_of(event), 0)

    def mask(self) -> None:
        ptr[u64](PAGE + MASK)[0] = 1 << u64(self.port)

    def unmask(self) -> None:
        ptr[u64](PAGE + MASK)[0] = 0

    def clear(self) -> None:
        """Takes the event; the interrupt's handler clears the rest."""
        ptr[u64](PAGE + PENDING)[0] = 0


def frequency() -> u64:
    """Of the TSC, in Hz, by the scale of vCPU 0's time (public/xen.h, vcpu_time_info); 0: it has none."""
    multiplier = u64(ptr[u32](PAGE + TIME + MULTIPLIER)[0])
    shift = ptr[u8](PAGE + TIME + SHIFT)[0]
    if multiplier == 0:
        return 0
    per_tick = (1_000_000_000 << 32) // multiplier
    return per_tick << u64(256 - u32(shift)) if shift >= 128 else per_tick >> u64(shift)
