"""Code without privilege in a unikernel: an exception ends it, whose handler leads back to the kernel."""

from guests.x86.lib.cpu import flush
from guests.x86.lib.exceptions import take_on_own_stack, use_own_stack
from hv.lang import Final, extern, ptr, symbol, u64

ALLOWED: Final[u64] = 1 << 2  # of a page-table entry
PRIVILEGE: Final[u64] = 3
KERNEL_CODE: Final[u64] = 8
KERNEL_DATA: Final[u64] = 16


def allow_user(cpu: u64) -> None:
    """On the CPU of this number, behind `fill_table`: in the first 2 MiB, where a unikernel lies."""
    take_on_own_stack()
    use_own_stack(cpu)
    allow(symbol("root"))
    allow(symbol("directories"))
    allow(symbol("blocks"))
    flush()


def allow(table: u64) -> None:
    ptr[u64](table)[0] |= ALLOWED


def back_to_kernel(frame: u64) -> bool:
    """In a handler: false when the exception was the kernel's own."""
    words = ptr[u64](frame)
    if words[1] & PRIVILEGE == 0:
        return False
    words[0] = symbol("from_user")
    words[1] = KERNEL_CODE
    words[4] = KERNEL_DATA
    return True


@extern
def set_as_user(value: u64) -> None:
    """XSETBV of XCR0."""
    ...
