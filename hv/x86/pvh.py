"""Reading the start information of a PVH entry: QEMU's `-kernel`, or another hypervisor.

Everything in it is a physical address of something else, which may lie anywhere. Version 0 has no memory map: who
starts us so must give one in version 1.

Source: public/arch-x86/hvm/start_info.h.
"""

from hv.common.lib.span import Bytes
from hv.common.mm.physical import PhysicalMemory
from hv.common.mm.types import PAGE_SIZE, Paddr
from hv.lang import Errno, Final, bounded, raises, u64
from hv.x86.boot_information import MAX_MODULES, BootInformation
from hv.x86.memory_map import MAX_ENTRIES, kind_of
from hv.x86.start_info import (
    AT_COMMAND_LINE,
    AT_ENTRY_BYTES,
    AT_ENTRY_START,
    AT_ENTRY_TYPE,
    AT_MAGIC,
    AT_MAP,
    AT_MAP_ENTRIES,
    AT_MODULE_BYTES,
    AT_MODULE_COMMAND_LINE,
    AT_MODULE_LIST,
    AT_MODULE_START,
    AT_MODULES,
    AT_RSDP,
    AT_VERSION,
    ENTRY_BYTES,
    MAGIC,
    MODULE_BYTES,
    VERSION_0_BYTES,
    VERSION_1_BYTES,
)

MAX_LINE: Final[u64] = 4096  # bytes of a command line
OLD_RSDP: Final[u64] = 20
NEW_RSDP: Final[u64] = 36


@raises
def read_pvh(memory: PhysicalMemory, start: Paddr, into: BootInformation) -> None:
    """EINVAL: no start information, one without a memory map, or something that it points to cannot be read. ENOSPC:
    more modules or text than there is room for."""
    first = memory.view(start, VERSION_0_BYTES)
    if first.le32(AT_MAGIC) != MAGIC or first.le32(AT_VERSION) == 0:
        raise Errno.EINVAL
    head = memory.view(start, VERSION_1_BYTES)
    into.command_line = _line(memory, head.le64(AT_COMMAND_LINE), into)
    _memory_map(memory, head, into)
    _modules(memory, head, into)
    rsdp = head.le64(AT_RSDP)
    if rsdp != 0:
        into.set_rsdp(_rsdp(memory, Paddr(rsdp)))


@raises
def _memory_map(memory: PhysicalMemory, head: Bytes, into: BootInformation) -> None:
    count = head.le32(AT_MAP_ENTRIES)
    used = min(count, MAX_ENTRIES)
    if used == 0:
        raise Errno.EINVAL
    entries = memory.view(Paddr(head.le64(AT_MAP)), u64(used) * ENTRY_BYTES)
    for i in bounded(used, MAX_ENTRIES):
        entry = entries.part(u64(i) * ENTRY_BYTES, ENTRY_BYTES)
        kind = kind_of(entry.le32(AT_ENTRY_TYPE))
        into.map.add(entry.le64(AT_ENTRY_START), entry.le64(AT_ENTRY_BYTES), kind)
    into.map.left_out += count - used


@raises
def _modules(memory: PhysicalMemory, head: Bytes, into: BootInformation) -> None:
    count = head.le32(AT_MODULES)
    if count == 0:
        return
    if count > MAX_MODULES:
        raise Errno.ENOSPC
    entries = memory.view(Paddr(head.le64(AT_MODULE_LIST)), u64(count) * MODULE_BYTES)
    for i in bounded(count, MAX_MODULES):
        entry = entries.part(u64(i) * MODULE_BYTES, MODULE_BYTES)
        line = _line(memory, entry.le64(AT_MODULE_COMMAND_LINE), into)
        into.add_module(entry.le64(AT_MODULE_START), entry.le64(AT_MODULE_BYTES), line)


@raises
def _line(memory: PhysicalMemory, start: u64, into: BootInformation) -> str:
    """A text that a zero byte ends, kept; empty for address 0. EINVAL: it does not end within 4096 bytes.

    Looked for in the pages that it lies in only: behind them there may be no memory."""
    if start == 0:
        return ""
    in_page = PAGE_SIZE - start % PAGE_SIZE
    text = memory.view(Paddr(start), min(in_page, MAX_LINE))
    if not text.terminated(0):
        text = memory.view(Paddr(start), MAX_LINE)
        if not text.terminated(0):
            raise Errno.EINVAL
    return into.kept(text.string(0))


@raises
def _rsdp(memory: PhysicalMemory, start: Paddr) -> Bytes:
    """As much of a root pointer as its revision has."""
    old = memory.view(start, OLD_RSDP)
    return old if old.byte(15) < 2 else memory.view(start, NEW_RSDP)
