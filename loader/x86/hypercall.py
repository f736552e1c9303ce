"""Calls to the hypervisor, through the page that it fills on demand: so they are made by whatever instruction the CPU
has for it.

Source: public/arch-x86/cpuid.h (leaf 2); public/xen.h; public/sched.h.
"""

from hv.lang import Final, Never, address_of, aligned, array, asm, bounded, u8, u32, u64, unbounded

FIRST_LEAF: Final[u32] = 0x4000_0000
LEAVES: Final[u32] = 0x100
BASES: Final = 256
XEN: Final[array[u32, 3]] = array(0x566E_6558, 0x6558_4D4D, 0x4D4D_566E)  # "XenVMMXenVMM"
ENTRY_BYTES: Final[u64] = 32
CONSOLE_IO: Final[u64] = 18
CONSOLE_WRITE: Final[u64] = 0
SCHED_OP: Final[u64] = 29
SHUTDOWN: Final[u64] = 2
CRASH: Final[u32] = 3


@aligned(4096)
class Page:
    code: array[u8, 4096]


class Reason:
    """sched_shutdown_t."""

    reason: u32


page: Final = Page()


@asm("cpuid", leaf="rax", subleaf="rcx", results="rax rbx rcx rdx")
def cpuid(leaf: u32, subleaf: u32) -> tuple[u32, u32, u32, u32]: ...


@asm("movq %rax, %rdx\n\tshrq $32, %rdx\n\twrmsr", register="rcx", value="rax", changes="rdx")
def write_msr(register: u32, value: u64) -> None: ...


@asm("call *%rax", entry="rax", a="rdi", b="rsi", c="rdx", result="rax", changes="rcx r11")
def call(entry: u64, a: u64, b: u64, c: u64) -> u64: ...


def set_up() -> None:
    """Asks for the page. On another hypervisor nothing happens, and no call may be made."""
    for i in bounded(u32(BASES), BASES):
        base = FIRST_LEAF + i * LEAVES
        _, b, c, d = cpuid(base, 0)
        if b == XEN[0] and c == XEN[1] and d == XEN[2]:
            _, register, _, _ = cpuid(base + 2, 0)
            write_msr(register, address_of(page))
            return


def hypercall(number: u64, a: u64, b: u64, c: u64) -> u64:
    return call(address_of(page) + number * ENTRY_BYTES, a, b, c)


def write(address: u64, length: u64) -> None:
    """Text that lies there, on the console."""
    hypercall(CONSOLE_IO, CONSOLE_WRITE, length, address)


@unbounded("nothing comes after it")
def crash() -> Never:
    """The domain ends, as one that failed."""
    reason = Reason()
    reason.reason = CRASH
    hypercall(SCHED_OP, SHUTDOWN, address_of(reason), 0)
    while True:
        pass
