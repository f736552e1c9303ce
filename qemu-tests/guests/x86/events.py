"""A guest with two CPUs that lives by event channels: upcalls by vector and through the local APIC, virtual interrupts,
timers, polling, and what the hypervisor tells of time.
"""

from guests.x86.lib.cpu import (
    halt,
    interrupt_window,
    pause,
    read32,
    read_msr,
    timestamp,
    wait_for_interrupt,
    write32,
    write_msr,
)
from guests.x86.lib.hypercall import (
    EEXIST,
    EINVAL,
    ENOENT,
    ENXIO,
    EPERM,
    ETIME,
    EVENT_CHANNEL_OP,
    HVM_OP,
    MEMORY_OP,
    POWER_OFF,
    SCHED_OP,
    VCPU_OP,
    VM_ASSIST,
    AddToPhysmap,
    end,
    hypercall,
)
from guests.x86.lib.interrupts import (
    APIC_BASE,
    SVR,
    X2APIC,
    fill_table,
    take_interrupts,
    taken,
    upcall,
    write,
)
from guests.x86.lib.secondary import start_other
from guests.x86.lib.text import line
from hv.lang import Final, Message, address_of, aligned, array, export, ptr, u8, u16, u32, u64, unbounded

SELF: Final[u32] = 0x7FF0
SHARED: Final[u64] = 0xF800_0000
WIDE_MASK: Final[u64] = 2048 + 512  # evtchn_mask in the shared page
DATE: Final[u64] = 2048 + 1024  # wc_version
TIME: Final[u64] = 32  # vcpu_time_info in vcpu_info
UPCALL: Final = 0x50  # vectors
BY_APIC: Final = 0x51
APIC_ON: Final[u64] = 1 << 11  # of APIC_BASE
BIND_INTERDOMAIN: Final[u64] = 0
BIND_VIRQ: Final[u64] = 1
CLOSE: Final[u64] = 3
SEND: Final[u64] = 4
STATUS: Final[u64] = 5
ALLOC_UNBOUND: Final[u64] = 6
BIND_IPI: Final[u64] = 7
BIND_VCPU: Final[u64] = 8
UNMASK: Final[u64] = 9
MILLISECOND: Final[u64] = 1_000_000
RUNSTATE_AT: Final[u64] = 4096 - 20  # so that it lies in two pages
BEING_WRITTEN: Final[u64] = 1 << 63
MIDNIGHT_2020: Final[u32] = 1_577_836_800


@aligned(4096)
class Pages:
    bytes: array[u8, 8192]


class Argument:
    """Of whatever hypercall: its structure, word by word."""

    words: array[u32, 8]


class Other:
    port: u32  # by which the other CPU signals this one
    answers: u32


information: Final = Pages()
runstate: Final = Pages()
argument: Final = Argument()
its_argument: Final = Argument()
other: Final = Other()


@export
@unbounded("ends when the hypervisor answers")
def guest_main(start: u64) -> None:
    fill_table()
    take_interrupts()
    map_shared_page()
    tell_time()
    register_information()
    ipi = by_vector()
    masked(ipi)
    loop_back()
    timers()
    poll()
    run_states()
    from_other()
    by_apic(ipi)
    line("READY events")
    line("DONE events ok")
    end(POWER_OFF)


def event_op(operation: u64) -> u64:
    return hypercall(EVENT_CHANNEL_OP, operation, address_of(argument), 0)


def map_shared_page() -> None:
    request = AddToPhysmap()
    request.domid = u16(SELF)
    request.size = 0
    request.space = 0
    request.idx = 0
    request.gpfn = SHARED >> 12
    check(hypercall(MEMORY_OP, 7, address_of(request), 0) == 0, "the shared page cannot be had")


def system_time(at: u64) -> u64:
    """By vcpu_time_info, in ns."""
    version = read32(at)
    check(version % 2 == 0 and version != 0, "the time is never written")
    since = timestamp() - ptr[u64](at + 8)[0]
    shift = ptr[u8](at + 28)[0]
    scaled = since << shift if shift < 128 else since >> 256 - u64(shift)
    multiplier = u64(read32(at + 24))
    return ptr[u64](at + 16)[0] + (scaled >> 32) * multiplier + ((scaled & 0xFFFF_FFFF) * multiplier >> 32)


def tell_time() -> None:
    """The clock goes, at the speed of the timer's nanoseconds, and the date is a sensible one."""
    first = system_time(SHARED + TIME)
    check(ptr[u8](SHARED + TIME + 29)[0] == 1, "the clock is not said to be stable")
    second = system_time(SHARED + TIME)
    check(second >= first and second - first < 1000 * MILLISECOND, "the clock does not go")
    check(read32(SHARED + DATE) % 2 == 0, "the date is being written")
    check(read32(SHARED + DATE + 4) > MIDNIGHT_2020 and read32(SHARED + DATE + 8) < 1_000_000_000, "no date")
    line("time")


def place_information(vcpu: u64, offset: u64) -> u64:
    place = address_of(information) + offset
    argument.words[0] = u32(place >> 12)
    argument.words[1] = 0
    argument.words[2] = u32(place & 0xFFF)
    return hypercall(VCPU_OP, 10, vcpu, address_of(argument))


def register_information() -> None:
    check(place_information(0, 4096 - 32) == ENXIO, "vcpu_info beyond its page")
    check(place_information(0, 3) == ENXIO, "vcpu_info where it is not aligned")
    check(place_information(2, 64) == ENOENT, "a vCPU that is none")
    check(place_information(0, 64) == 0, "vcpu_info cannot be registered")
    check(place_information(0, 64) == EINVAL, "vcpu_info registered twice")
    at = address_of(information) + 64
    check(ptr[u8](at)[0] == 1 and ptr[u64](at + 8)[0] == ~u64(0), "not all is pending behind a registration")
    system_time(at + TIME)
    line("vcpu_info")


def set_param(index: u32, low: u32, high: u32) -> u64:
    argument.words[0] = SELF
    argument.words[1] = index
    argument.words[2] = low
    argument.words[3] = high
    return hypercall(HVM_OP, 0, address_of(argument), 0)


def by_vector() -> u32:
    """What is pending comes when the way is chosen; then an event of its own."""
    upcall.vector = UPCALL
    upcall.flag = address_of(information) + 64
    check(set_param(99, 0, 0) == EINVAL, "a parameter that is none")
    check(set_param(17, 1, 0) == EPERM, "a parameter that is not the guest's to set")
    check(set_param(0, UPCALL, 2 << 24) == 0, "no upcall by vector")
    check(taken.count[UPCALL] == 0, "an upcall with interrupts off")
    interrupt_window()
    check(taken.count[UPCALL] == 1, "no upcall for what was pending")
    interrupt_window()
    check(taken.count[UPCALL] == 1, "an upcall for nothing")
    argument.words[0] = 7
    check(event_op(BIND_IPI) == ENOENT, "a port to a vCPU that is none")
    argument.words[0] = 0
    check(event_op(BIND_IPI) == 0, "no port for a signal to a vCPU")
    port = argument.words[1]
    check(send(port) == 0 and is_pending(port), "a signal is not pending")
    check(send(999) == EINVAL and send(port + 1) == EINVAL and send(1 << 31) == EINVAL, "a signal to no port")
    check(taken.count[UPCALL] == 1, "an upcall with interrupts off")
    interrupt_window()
    check(taken.count[UPCALL] == 2, "no upcall")
    check(send(port) == 0, "a second signal")
    interrupt_window()
    check(taken.count[UPCALL] == 2, "an upcall for what was pending already")
    forget(port)
    send(port)
    wait_for_interrupt()
    check(taken.count[UPCALL] == 3, "no upcall while it waits")
    forget(port)
    line("by vector")
    return port


def send(port: u32) -> u64:
    argument.words[0] = port
    return event_op(SEND)


def is_pending(port: u32) -> bool:
    return read32(SHARED + 2048 + u64(port // 32) * 4) >> port % 32 & 1 != 0


def forget(port: u32) -> None:
    """As a handler does behind the upcall."""
    at = SHARED + 2048 + u64(port // 32) * 4
    write32(at, read32(at) & ~(u32(1) << port % 32))


def mask(port: u32, masked: bool) -> None:
    at = SHARED + WIDE_MASK + u64(port // 32) * 4
    write32(at, read32(at) & ~(u32(1) << port % 32) | u32(masked) << port % 32)


def masked(port: u32) -> None:
    before = taken.count[UPCALL]
    mask(port, True)
    send(port)
    interrupt_window()
    check(is_pending(port) and taken.count[UPCALL] == before, "a masked port is told of")
    argument.words[0] = port
    check(event_op(UNMASK) == 0, "it cannot be unmasked")
    interrupt_window()
    check(taken.count[UPCALL] == before + 1, "what came behind the mask is lost")
    forget(port)
    line("masked")


def loop_back() -> None:
    """Both ends in one domain."""
    argument.words[0] = SELF | SELF << 16
    check(event_op(ALLOC_UNBOUND) == 0, "no port that waits")
    waits = argument.words[1]
    check(send(waits) == 0, "a signal to nobody is an error")
    argument.words[0] = SELF
    argument.words[1] = waits
    check(event_op(BIND_INTERDOMAIN) == 0, "it cannot be bound")
    bound = argument.words[2]
    check(is_pending(bound) and not is_pending(waits), "the port that is bound last is not pending")
    argument.words[0] = SELF
    argument.words[1] = waits
    check(event_op(BIND_INTERDOMAIN) == EINVAL, "it is bound twice")
    forget(bound)
    send(waits)
    check(is_pending(bound) and not is_pending(waits), "a signal does not come out at the other end")
    argument.words[0] = SELF
    argument.words[1] = bound
    check(event_op(STATUS) == 0 and argument.words[2] == 2, "its status is another")
    check(argument.words[4] & 0xFFFF == 1 and argument.words[5] == waits, "it leads elsewhere")
    argument.words[0] = bound
    check(event_op(CLOSE) == 0 and not is_pending(bound), "it is not closed")
    check(event_op(CLOSE) == EINVAL, "it is closed twice")
    argument.words[0] = SELF
    argument.words[1] = waits
    check(event_op(STATUS) == 0 and argument.words[2] == 1, "the other end does not wait again")
    argument.words[0] = waits
    check(event_op(CLOSE) == 0, "the other end is not closed")
    interrupt_window()
    line("loop back")


def bind_timer() -> u32:
    argument.words[0] = 0
    argument.words[1] = 0
    check(event_op(BIND_VIRQ) == 0, "no port for the timer")
    port = argument.words[2]
    check(event_op(BIND_VIRQ) == EEXIST, "the timer is bound twice")
    argument.words[0] = 24
    check(event_op(BIND_VIRQ) == EINVAL, "a virtual interrupt that is none")
    argument.words[0] = 2
    argument.words[1] = 1
    check(event_op(BIND_VIRQ) == EINVAL, "a global virtual interrupt on another vCPU")
    argument.words[0] = port
    argument.words[1] = 1
    check(event_op(BIND_VCPU) == EINVAL, "a vCPU's own interrupt moves")
    return port


def now() -> u64:
    return system_time(upcall.flag + TIME)


def set_timer(deadline: u64, flags: u32) -> u64:
    argument.words[0] = u32(deadline & 0xFFFF_FFFF)
    argument.words[1] = u32(deadline >> 32)
    argument.words[2] = flags
    return hypercall(VCPU_OP, 8, 0, address_of(argument))


@unbounded("ends when the timer has come")
def timers() -> None:
    port = bind_timer()
    before = taken.count[UPCALL]
    deadline = now() + MILLISECOND
    check(set_timer(deadline, 0) == 0, "the timer is not set")
    while taken.count[UPCALL] == before:
        wait_for_interrupt()
    check(now() >= deadline and is_pending(port), "the timer comes early")
    forget(port)
    check(set_timer(1, 1) == ETIME, "a time that has passed is not told")
    check(hypercall(VCPU_OP, 9, 0, 0) == 0, "the timer is not stopped")
    argument.words[0] = 1000
    argument.words[1] = 0
    check(hypercall(VCPU_OP, 6, 0, address_of(argument)) == EINVAL, "a period that is too short")
    argument.words[0] = u32(MILLISECOND)
    start = now()
    check(hypercall(VCPU_OP, 6, 0, address_of(argument)) == 0, "the periodic timer is not set")
    for _ in range(3):
        before = taken.count[UPCALL]
        while taken.count[UPCALL] == before:
            wait_for_interrupt()
        forget(port)
    check(now() >= start + 3 * MILLISECOND, "the periodic timer comes early")
    check(hypercall(VCPU_OP, 7, 0, 0) == 0, "the periodic timer is not stopped")
    interrupt_window()
    forget(port)
    argument.words[0] = port
    check(event_op(CLOSE) == 0, "the timer's port is not closed")
    line("timers")


def poll_for(port: u32, deadline: u64) -> u64:
    argument.words[0] = u32(address_of(argument) & 0xFFFF_FFFF) + 24
    argument.words[1] = 0
    argument.words[2] = 1
    argument.words[4] = u32(deadline & 0xFFFF_FFFF)
    argument.words[5] = u32(deadline >> 32)
    argument.words[6] = port
    return hypercall(SCHED_OP, 3, address_of(argument), 0)


def poll() -> None:
    """It ends at its time, or with an event, masked as it may be; and interrupts stay off."""
    port = bind_timer()
    mask(port, True)
    before = taken.count[UPCALL]
    deadline = now() + MILLISECOND
    check(poll_for(port, deadline) == 0 and now() >= deadline, "polling ends early")
    check(not is_pending(port), "an event that nobody sent")
    deadline = now() + MILLISECOND
    set_timer(deadline, 0)
    check(poll_for(port, 0) == 0 and is_pending(port) and now() >= deadline, "polling does not end with an event")
    check(poll_for(port, 0) == 0, "polling waits for what is there")
    check(poll_for(999, 0) == EINVAL, "polling for no port")
    check(taken.count[UPCALL] == before, "an upcall while polling")
    forget(port)
    mask(port, False)
    argument.words[0] = port
    check(event_op(CLOSE) == 0, "the timer's port is not closed")
    line("poll")


def run_states() -> None:
    check(hypercall(VM_ASSIST, 0, 5, 0) == 0, "no flag while a runstate is written")
    check(hypercall(VM_ASSIST, 0, 2, 0) == EINVAL, "help for PV guests")
    at = address_of(runstate) + RUNSTATE_AT
    argument.words[0] = u32(at)
    argument.words[1] = 0
    check(hypercall(VCPU_OP, 5, 0, address_of(argument)) == 0, "no area for the runstate")
    check(read32(at) == 0, "a vCPU that asks does not run")
    before = ptr[u64](at + 8)[0]
    check(before <= now() and before & BEING_WRITTEN == 0, "it began to run later than now")
    blocked = ptr[u64](at + 32)[0]
    for i in range(12):
        # An emulator that is kept waiting comes to the hypervisor when the time is over.
        if ptr[u64](at + 32)[0] == blocked:
            check(poll_for(1, now() + (MILLISECOND << u64(i))) == 0, "it cannot wait")
    check(ptr[u64](at + 8)[0] > before and ptr[u64](at + 32)[0] > blocked, "it was never blocked")
    check(hypercall(VCPU_OP, 3, 0, 0) == 1, "a vCPU that asks is not up")
    check(hypercall(VCPU_OP, 3, 1, 0) == 0, "a vCPU is up that was not started")
    line("runstate")


@unbounded("ends when the other CPU has answered")
def from_other() -> None:
    check(place_information(1, 128) == 0, "no vcpu_info for a vCPU that is off")
    argument.words[0] = 0
    check(event_op(BIND_IPI) == 0, "no port for the other CPU's signals")
    other.port = argument.words[1]
    before = taken.count[UPCALL]
    start_other()
    while taken.count[UPCALL] == before:
        wait_for_interrupt()
    forget(other.port)
    check(hypercall(VCPU_OP, 3, 1, 0) == 1, "the other vCPU is not up")
    mask(other.port, True)
    write32(address_of(other) + 4, 1)
    check(poll_for(other.port, 0) == 0 and is_pending(other.port), "polling does not end by another CPU's event")
    forget(other.port)
    line("another CPU")


@export
@unbounded("ends when CPU 0 does")
def guest_secondary() -> None:
    its_argument.words[0] = other.port
    hypercall(EVENT_CHANNEL_OP, SEND, address_of(its_argument), 0)
    while read32(address_of(other) + 4) == 0:
        pause()
    hypercall(EVENT_CHANNEL_OP, SEND, address_of(its_argument), 0)
    halt()


def by_apic(port: u32) -> None:
    argument.words[0] = 0
    argument.words[1] = 8
    check(hypercall(HVM_OP, 23, address_of(argument), 0) == EINVAL, "a vector that cannot be sent")
    argument.words[0] = 9
    argument.words[1] = BY_APIC
    check(hypercall(HVM_OP, 23, address_of(argument), 0) == ENOENT, "a vCPU that is none")
    argument.words[0] = 0
    ptr[u8](upcall.flag)[0] = 0
    check(hypercall(HVM_OP, 23, address_of(argument), 0) == 0, "no upcall through the local APIC")
    interrupt_window()
    before = taken.count[UPCALL]
    others = taken.count[BY_APIC]
    ptr[u8](upcall.flag)[0] = 0
    send(port)
    interrupt_window()
    check(taken.count[BY_APIC] == others + 1 and taken.count[UPCALL] == before, "no upcall through the local APIC")
    forget(port)
    ptr[u8](upcall.flag)[0] = 0
    ptr[u64](upcall.flag + 8)[0] = 0
    send(port)
    check(ptr[u8](upcall.flag)[0] == 1, "an event that is not told")
    base = read_msr(APIC_BASE)
    write_msr(APIC_BASE, base & ~(X2APIC | APIC_ON))
    write_msr(APIC_BASE, base & ~X2APIC)
    write_msr(APIC_BASE, base)
    interrupt_window()
    check(taken.count[BY_APIC] == others + 1, "an upcall through a local APIC that is off")
    write(SVR, 0x1FF)
    interrupt_window()
    check(taken.count[BY_APIC] == others + 2, "an upcall is lost that came before the local APIC was turned off")
    line("by the local APIC")


def check(right: bool, what: Message) -> None:
    if not right:
        line(what)
        line("DONE events fail")
        end(POWER_OFF)
