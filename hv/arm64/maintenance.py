"""Keeping caches and translations true to memory.

QEMU models none of it: what is missing here shows on hardware only. Cache operations go by lines of the size that
CTR_EL0 names.
"""

from hv.arm64.cpu import (
    clean_and_invalidate_blocks,
    clean_and_invalidate_line,
    clean_blocks,
    clean_line_for_fetch,
    complete_all,
    complete_stores,
    forget_guest,
    forget_guest_combined,
    forget_guest_page,
    forget_hypervisor,
    forget_hypervisor_page,
    forget_instructions,
    instruction_barrier,
    order_table_stores,
    zero_and_clean_blocks,
    zero_bytes,
)
from hv.arm64.sysreg import CTR_EL0, DCZID_EL0, TCR_EL1, VTTBR_EL2, WALKS_CLOSED, CacheType, ZeroBlock
from hv.arm64.workarounds import workarounds
from hv.common.mm.types import PAGE_SHIFT, Paddr
from hv.config import CONFIG_ERRATUM_826319, CONFIG_ERRATUM_1319367
from hv.lang import Final, bounded, u16, u32, u64, unbounded, value

VMID_SHIFT: Final = 48
FEW: Final[u64] = 64  # leaves of the hypervisor's that are forgotten one by one: each is told to all CPUs


def data_line() -> u64:
    """Bytes."""
    return u64(4) << CacheType(CTR_EL0.read()).data_line


def clean_to_memory(address: u64, length: u64) -> None:
    line = data_line()
    start = address & ~(line - 1)
    clean(start, (address + length + line - 1 & ~(line - 1)) - start, line)
    complete_all()


def clean(start: u64, length: u64, line: u64) -> None:
    """Whole lines. `complete_all` is to follow."""
    if CONFIG_ERRATUM_826319 and workarounds.invalidates_when_cleaning:
        clean_and_invalidate_blocks(start, length, line)
    else:
        clean_blocks(start, length, line)


@unbounded("each step is a cache line of the range")
def read_anew(address: u64, length: u64) -> None:
    """Forgets lines that this side has only read: what a device that does not snoop has written is read next."""
    line = data_line()
    at = address & ~(line - 1)
    while at < address + length:
        clean_and_invalidate_line(at)
        at += line
    complete_all()


def zero_to_memory(address: u64, length: u64) -> None:
    """Whole pages."""
    zeroing = ZeroBlock(DCZID_EL0.read())
    line = data_line()
    alone = CONFIG_ERRATUM_826319 and workarounds.invalidates_when_cleaning
    if alone or zeroing.prohibited or u64(4) << zeroing.size != line:
        zero_bytes(address, length)
        clean(address, length, line)
    else:
        zero_and_clean_blocks(address, length, line)
    complete_all()


@unbounded("each step is a cache line of the range")
def sync_instructions(address: u64, length: u64) -> None:
    line = data_line()
    if not CacheType(CTR_EL0.read()).data_clean_unneeded:
        at = address & ~(line - 1)
        while at < address + length:
            if CONFIG_ERRATUM_826319 and workarounds.invalidates_when_cleaning:
                clean_and_invalidate_line(at)
            else:
                clean_line_for_fetch(at)
            at += line
    complete_stores()
    if not CacheType(CTR_EL0.read()).instruction_invalidate_unneeded:
        forget_instructions()
        complete_stores()
    instruction_barrier()


def publish_table() -> None:
    order_table_stores()
    instruction_barrier()


def flush_hypervisor(address: u64, leaves: u64, order: u32) -> None:
    order_table_stores()
    if leaves > FEW:
        forget_hypervisor()
    else:
        for i in bounded(leaves, FEW):
            forget_hypervisor_page((address >> PAGE_SHIFT) + (i << order))
    complete_stores()
    instruction_barrier()


def flush_guest(root: Paddr, vmid: u16) -> None:
    saved = enter_vmid(root, vmid)
    forget_guest()
    leave_vmid(saved)


def flush_guest_page(root: Paddr, vmid: u16, guest_address: u64) -> None:
    saved = enter_vmid(root, vmid)
    forget_guest_page(guest_address >> PAGE_SHIFT)
    complete_stores()
    forget_guest_combined()  # what combines stage 1 with the old stage 2 is not found by a guest-physical address
    leave_vmid(saved)


@value
class Regime:
    """What a guest's walks begin with."""

    vttbr: u64
    tcr: u64  # when walks have been closed


def enter_vmid(root: Paddr, vmid: u16) -> Regime:
    """Maintenance names a guest by VTTBR_EL2 alone. Table stores before this are complete; returns what was there."""
    order_table_stores()
    tcr: u64 = 0
    if CONFIG_ERRATUM_1319367 and workarounds.closes_walks:
        tcr = TCR_EL1.read()
        TCR_EL1.write(tcr | WALKS_CLOSED)
        instruction_barrier()
    saved = Regime(VTTBR_EL2.read(), tcr)
    VTTBR_EL2.write(root | u64(vmid) << VMID_SHIFT)
    instruction_barrier()
    return saved


def leave_vmid(saved: Regime) -> None:
    complete_stores()
    VTTBR_EL2.write(saved.vttbr)
    instruction_barrier()
    if CONFIG_ERRATUM_1319367 and workarounds.closes_walks:
        TCR_EL1.write(saved.tcr)
        instruction_barrier()
