"""From a guest's linear addresses to its physical ones, by its own tables and with its own rules: no paging, 32-bit,
PAE, four and five levels (Intel SDM 3A, chapter 4; AMD APM 2, chapter 5).

Another vCPU may change the tables meanwhile. Each entry is read once, through the guest's physical map, and marked as
accessed (the last as dirty, when it is to be written through) only if it still is what was read; else the walk begins
anew. Reserved bits are not looked at: emulators set one in the upper entries of PAE.
"""

from hv.arch import direct_address
from hv.common.mm.p2m import GuestKind, P2m
from hv.common.mm.types import PAGE_SIZE, Gaddr, gfn_of, paddr_of
from hv.lang import Atomic, Bits, Errno, Field, Final, ptr, raises, truncate, u32, u64, value

PRESENT: Final[u64] = 1 << 0
WRITABLE: Final[u64] = 1 << 1
USER: Final[u64] = 1 << 2
ACCESSED: Final[u64] = 1 << 5
DIRTY: Final[u64] = 1 << 6
LARGE: Final[u64] = 1 << 7
NEVER_EXECUTE: Final[u64] = 1 << 63
ADDRESS: Final[u64] = 0x000F_FFFF_FFFF_F000
ADDRESS_32: Final[u64] = 0xFFFF_F000
PAE_ROOT: Final[u64] = 0xFFFF_FFE0
PSE_HIGH: Final[u64] = 0x1F_E000  # of a 4 MiB page: bits 39:32 of its address
ATTEMPTS: Final = 16
MAX_LEVELS: Final = 5


class Control0(Bits[u64]):
    write_protect = Field(16)
    paging = Field(31)


class Control4(Bits[u64]):
    large = Field(4)  # PSE
    pae = Field(5)
    five_levels = Field(12)  # LA57
    smep = Field(20)
    smap = Field(21)


class Extended(Bits[u64]):
    """EFER."""

    long_active = Field(10)
    no_execute = Field(11)


class PageFault(Bits[u32]):
    """The error code (Intel SDM 3A, 4.7)."""

    present = Field(0)
    write = Field(1)
    user = Field(2)
    reserved = Field(3)
    fetch = Field(4)


class Entry:
    """As it lies in the guest's memory."""

    word: Atomic[u64]


class Entry32:
    word: Atomic[u32]


@value
class Paging:
    """What decides about a walk, of the vCPU in that moment."""

    cr0: Control0
    cr3: u64
    cr4: Control4
    efer: Extended
    may_reach_users: bool  # RFLAGS.AC: SMAP does not hold


@value
class Access:
    """What is to be done at the address."""

    write: bool
    fetch: bool
    user: bool


@value
class Walk:
    """`fault` holds when `found` is False: what the guest's CPU would raise. `broken`: a table lies where the guest has
    no memory, or it changes all the time."""

    found: bool
    address: Gaddr
    fault: PageFault
    broken: bool


def walk(p2m: P2m, paging: Paging, linear: u64, access: Access) -> Walk:
    """One byte. Of the result's page the rest follows."""
    if not paging.cr0.paging:
        return Walk(True, Gaddr(linear & 0xFFFF_FFFF), PageFault(0), False)
    for _ in range(ATTEMPTS):
        try:
            return once(p2m, paging, linear, access)
        except Errno as e:
            if e is not Errno.EAGAIN:
                break
    return Walk(False, Gaddr(0), PageFault(0), True)


@raises
def once(p2m: P2m, paging: Paging, linear: u64, access: Access) -> Walk:
    """EAGAIN: an entry has changed meanwhile. EFAULT: there is no memory behind a table."""
    wide = paging.cr4.pae or paging.efer.long_active
    levels = levels_of(paging)
    shown = linear if paging.efer.long_active else linear & 0xFFFF_FFFF
    if paging.efer.long_active and not is_canonical(linear, levels):
        return refused(paging, access, False)
    table = root_of(paging)
    entry_bytes: u64 = 8 if wide else 4
    rights = WRITABLE | USER
    executable = True
    for depth in range(MAX_LEVELS):
        if u32(depth) >= levels:
            break
        height = levels - 1 - u32(depth)
        at = Gaddr(table + index_of(shown, height, wide) * entry_bytes)
        entry = load(p2m, at, wide)
        if entry & PRESENT == 0:
            return refused(paging, access, False)
        upper = not paging.efer.long_active and wide and height == 2  # has no rights of its own
        if not upper:
            rights &= entry
        if wide and entry & NEVER_EXECUTE != 0 and paging.efer.no_execute:
            executable = False
        leaf = height == 0 or is_large(paging, entry, height, wide)
        if leaf and not allows(paging, access, rights, executable):
            return refused(paging, access, True)
        wanted = ACCESSED | DIRTY if leaf and access.write else ACCESSED
        if not upper and entry & wanted != wanted:
            mark(p2m, at, wide, entry, entry | wanted)
        if leaf:
            return Walk(True, Gaddr(target(entry, shown, height, wide)), PageFault(0), False)
        table = entry & ADDRESS if wide else entry & ADDRESS_32
    raise Errno.EFAULT


def levels_of(paging: Paging) -> u32:
    if paging.efer.long_active:
        return 5 if paging.cr4.five_levels else 4
    return 3 if paging.cr4.pae else 2


def root_of(paging: Paging) -> u64:
    if paging.efer.long_active:
        return paging.cr3 & ADDRESS
    return paging.cr3 & PAE_ROOT if paging.cr4.pae else paging.cr3 & ADDRESS_32


def is_canonical(linear: u64, levels: u32) -> bool:
    sign = linear >> (9 * levels + 11)
    return sign == 0 or sign == ~u64(0) >> (9 * levels + 11)


def index_of(linear: u64, height: u32, wide: bool) -> u64:
    return linear >> (12 + 9 * height) & 0x1FF if wide else linear >> (12 + 10 * height) & 0x3FF


def is_large(paging: Paging, entry: u64, height: u32, wide: bool) -> bool:
    if entry & LARGE == 0:
        return False
    if not wide:
        return paging.cr4.large
    return height == 1 or (height == 2 and paging.efer.long_active)


def target(entry: u64, linear: u64, height: u32, wide: bool) -> u64:
    bits: u32 = 9 if wide else 10
    shift = 12 + bits * height
    offset = linear & ((u64(1) << shift) - 1)
    if not wide and height == 1:
        return entry & 0xFFC0_0000 | (entry & PSE_HIGH) << 19 | offset
    return entry & ADDRESS & ~((u64(1) << shift) - 1) | offset


def allows(paging: Paging, access: Access, rights: u64, executable: bool) -> bool:
    """Intel SDM 3A, 4.6.1."""
    users = rights & USER != 0
    if access.user and not users:
        return False
    if access.fetch:
        return executable and (access.user or not users or not paging.cr4.smep)
    if not access.user and users and paging.cr4.smap and not paging.may_reach_users:
        return False
    if access.write and rights & WRITABLE == 0:
        return not access.user and not paging.cr0.write_protect
    return True


def refused(paging: Paging, access: Access, present: bool) -> Walk:
    shown = access.fetch and (paging.efer.no_execute or paging.cr4.smep)
    return Walk(
        False,
        Gaddr(0),
        PageFault(present=present, write=access.write, user=access.user, fetch=shown),
        False,
    )


@raises
def load(p2m: P2m, at: Gaddr, wide: bool) -> u64:
    """EFAULT: the guest has no memory there."""
    with p2m.lock as held:
        found = p2m.find(held, gfn_of(at))
        if found.kind not in (GuestKind.RAM, GuestKind.READ_ONLY):
            raise Errno.EFAULT
        address = direct_address(paddr_of(found.mfn)) + at % PAGE_SIZE
        return ptr[Entry](address).ref().word.load() if wide else u64(ptr[Entry32](address).ref().word.load())


@raises
def mark(p2m: P2m, at: Gaddr, wide: bool, before: u64, after: u64) -> None:
    """EAGAIN: it is not what it was. EFAULT: the guest cannot write there."""
    with p2m.lock as held:
        found = p2m.find(held, gfn_of(at))
        if found.kind != GuestKind.RAM:
            raise Errno.EFAULT
        address = direct_address(paddr_of(found.mfn)) + at % PAGE_SIZE
        if wide:
            done = ptr[Entry](address).ref().word.compare_exchange(before, after)
        else:
            done = ptr[Entry32](address).ref().word.compare_exchange(truncate(u32, before), truncate(u32, after))
    if not done:
        raise Errno.EAGAIN
