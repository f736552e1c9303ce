"""Calls to the hypervisor by Xen's ABI (public/xen.h)."""

from hv.lang import Final, Never, address_of, extern, u16, u32, u64, unbounded

MEMORY_OP: Final[u64] = 12
MULTICALL: Final[u64] = 13
XEN_VERSION: Final[u64] = 17
GRANT_TABLE_OP: Final[u64] = 20
CONSOLE_IO: Final[u64] = 18
VM_ASSIST: Final[u64] = 21
VCPU_OP: Final[u64] = 24
SCHED_OP: Final[u64] = 29
EVENT_CHANNEL_OP: Final[u64] = 32
HVM_OP: Final[u64] = 34

CONSOLE_WRITE: Final[u64] = 0
SHUTDOWN: Final[u64] = 2
POWER_OFF: Final[u32] = 0
REBOOT: Final[u32] = 1
CRASH: Final[u32] = 3


class AddToPhysmap:
    """xen_add_to_physmap_t."""

    domid: u16
    size: u16
    space: u32
    idx: u64
    gpfn: u64


class MemoryMap:
    """xen_memory_map_t."""

    count: u32
    buffer: u64


class Reason:
    """sched_shutdown_t."""

    reason: u32


EPERM: Final[u64] = ~u64(0)
ENOENT: Final[u64] = ~u64(1)
ENXIO: Final[u64] = ~u64(5)
EFAULT: Final[u64] = ~u64(13)
EEXIST: Final[u64] = ~u64(16)
EINVAL: Final[u64] = ~u64(21)
ENOSYS: Final[u64] = ~u64(37)
ETIME: Final[u64] = ~u64(61)


@extern
def hypercall(number: u64, a: u64, b: u64, c: u64) -> u64: ...


@extern
def hypercall_narrow(number: u64, a: u64, b: u64, c: u64) -> u64:
    """From 32-bit code: the answer is one of 32 bits."""
    ...


@extern
def hypercall_prefixed(number: u64, a: u64, b: u64, c: u64) -> u64:
    """Twice the answer, when the CPU goes on before the instruction's end."""
    ...


@extern
def no_hypercall(number: u64, a: u64, b: u64, c: u64) -> u64: ...


@extern
def hypercall5(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64) -> u64: ...


@extern
def call_page(entry: u64, a: u64, b: u64, c: u64) -> u64: ...


@unbounded("nothing comes after it")
def end(why: u32) -> Never:
    reason = Reason()
    reason.reason = why
    hypercall(SCHED_OP, SHUTDOWN, address_of(reason), 0)
    while True:
        pass
