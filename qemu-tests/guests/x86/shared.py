"""A guest that uses what it shares with the hypervisor: memory that it gives back and gets again, the frames of its
grant table, and its console's rings; and that calls from 32-bit code as well.
"""

from guests.x86.lib.cpu import pause, read32, write32
from guests.x86.lib.hypercall import (
    EINVAL,
    ENOENT,
    ENOSYS,
    EPERM,
    EVENT_CHANNEL_OP,
    GRANT_TABLE_OP,
    HVM_OP,
    MEMORY_OP,
    POWER_OFF,
    XEN_VERSION,
    AddToPhysmap,
    end,
    hypercall,
    hypercall_narrow,
)
from guests.x86.lib.text import line
from hv.lang import Final, Message, address_of, aligned, array, export, ptr, u8, u16, u32, u64, unbounded

SELF: Final[u32] = 0x7FF0
VERSION_4_17: Final[u64] = 4 << 16 | 17
LOW: Final[u64] = 0xFFFF_FFFF
FRAMES: Final[u64] = 4096  # of 16 MiB
SPARE: Final[u64] = 0x80_0000  # where nothing of the kernel's lies
SPARES: Final = 512  # frames from there that are given back
HOLE: Final[u64] = 0xF800_0000
CONSOLE_PFN: Final[u32] = 17
CONSOLE_EVTCHN: Final[u32] = 18
SEND: Final[u64] = 4
OUT: Final[u64] = 1024  # in the console's page
IN_CONS: Final[u64] = 3072
IN_PROD: Final[u64] = 3076
OUT_CONS: Final[u64] = 3080
OUT_PROD: Final[u64] = 3084
MUCH: Final[u64] = 5000  # bytes, more than the ring holds


class Argument:
    words: array[u32, 16]


@aligned(4096)
class Places:
    frames: array[u64, SPARES]


@aligned(4096)
class NarrowPlaces:
    frames: array[u32, SPARES]


argument: Final = Argument()
places: Final = Places()
narrow_places: Final = NarrowPlaces()


@export
def guest_main(start: u64) -> None:
    reservation()
    grant_table()
    narrow()
    console()
    line("DONE shared ok")
    end(POWER_OFF)


def change(operation: u64, extents: u64) -> u64:
    """Of single frames from `places`."""
    argument.words[0] = u32(address_of(places))
    argument.words[1] = 0
    argument.words[2] = u32(extents)
    argument.words[3] = 0
    argument.words[4] = 0
    argument.words[5] = 0
    argument.words[6] = SELF
    return hypercall(MEMORY_OP, operation, address_of(argument), 0)


def has(operation: u64) -> u64:
    argument.words[0] = SELF
    return hypercall(MEMORY_OP, operation, address_of(argument), 0)


def reservation() -> None:
    """Memory goes and comes back cleared, never more than there was."""
    check(has(3) == FRAMES and has(4) == FRAMES, "it has another amount of memory")
    check(has(14) >= FRAMES - 1, "its memory ends below its end")
    for i in range(SPARES):
        places.frames[i] = (SPARE >> 12) + u64(i)
        ptr[u64](SPARE + u64(i) * 4096)[0] = ~u64(i)
    check(change(6, 1) == 0, "memory where there is some")
    check(change(1, SPARES) == SPARES and has(3) == FRAMES - SPARES, "memory is not given back")
    check(change(1, SPARES) == 0, "memory is given back twice")
    check(change(6, SPARES) == SPARES and has(3) == FRAMES, "memory does not come back")
    for i in range(SPARES):
        check(ptr[u64](SPARE + u64(i) * 4096)[0] == 0, "memory comes back as it was")
    places.frames[0] = HOLE >> 12
    check(change(6, 1) == 0, "more memory than there was")
    argument.words[6] = 0
    check(hypercall(MEMORY_OP, 6, address_of(argument), 0) == EPERM, "memory for another domain")
    check(hypercall(MEMORY_OP, 63, 0, 0) == ENOSYS, "an operation of memory_op that is none")
    line("reservation")


def grant_op(operation: u64, count: u64) -> u64:
    return hypercall(GRANT_TABLE_OP, operation, address_of(argument), count)


def map_grant_frame(index: u64, at: u64) -> u64:
    request = AddToPhysmap()
    request.domid = u16(SELF)
    request.size = 0
    request.space = 1
    request.idx = index
    request.gpfn = at >> 12
    return hypercall(MEMORY_OP, 7, address_of(request), 0)


def grant_table() -> None:
    argument.words[0] = SELF
    check(grant_op(6, 2) == EINVAL, "two questions for the grant table's size")
    check(grant_op(6, 1) == 0 and argument.words[3] & 0xFFFF == 0, "the grant table has no size")
    most = u64(argument.words[2])
    check(argument.words[1] >= 1 and most >= 32, "the grant table has no room")
    check(map_grant_frame(0, HOLE) == 0 and map_grant_frame(3, HOLE + 4096) == 0, "its frames cannot be mapped")
    check(ptr[u64](HOLE)[0] == 0 and ptr[u64](HOLE + 4096)[0] == 0, "a new frame is not clear")
    ptr[u64](HOLE + 4096)[0] = 7
    check(map_grant_frame(3, HOLE + 8192) == 0 and ptr[u64](HOLE + 8192)[0] == 7, "a frame that moves is another")
    check(map_grant_frame(most, HOLE) == EINVAL, "a frame beyond the most")
    argument.words[0] = SELF
    check(grant_op(6, 1) == 0 and argument.words[1] == 4, "the table has not grown")
    argument.words[0] = SELF
    argument.words[1] = 4
    argument.words[4] = u32(address_of(places))
    argument.words[5] = 0
    check(grant_op(2, 1) == 0 and argument.words[2] & 0xFFFF == 0, "the table cannot be set up")
    check(places.frames[0] == HOLE >> 12 and places.frames[3] == (HOLE >> 12) + 2, "its frames are elsewhere")
    check(places.frames[1] == ~u64(0), "a frame that was never mapped is somewhere")
    argument.words[0] = 1
    check(grant_op(8, 1) == 0, "no entries of version 1")
    argument.words[0] = 3
    check(grant_op(8, 1) == EINVAL, "entries of version 3")
    argument.words[0] = SELF
    check(grant_op(10, 1) == 0 and argument.words[1] == 1, "another version")
    argument.words[0] = SELF
    argument.words[2] = u32(HOLE >> 12)
    argument.words[3] = 0
    check(hypercall(MEMORY_OP, 15, address_of(argument), 0) == 0, "a frame cannot be taken out")
    argument.words[0] = SELF
    check(hypercall(MEMORY_OP, 15, address_of(argument), 0) == ENOENT, "a frame is taken out twice")
    check(has(3) == FRAMES, "the table's frames count as memory")
    line("grant table")


def narrow() -> None:
    """Structures with longs of 32 bits."""
    check(hypercall_narrow(XEN_VERSION, 0, 0, 0) == VERSION_4_17, "no version for 32-bit code")
    check(hypercall_narrow(45, 0, 0, 0) == ENOSYS & LOW, "a hypercall that is none")
    argument.words[0] = SELF
    argument.words[1] = 1
    argument.words[2] = 3
    argument.words[3] = u32(HOLE >> 12)
    check(hypercall_narrow(MEMORY_OP, 7, address_of(argument), 0) == 0, "no frame of the grant table for 32-bit code")
    check(ptr[u64](HOLE)[0] == 7, "another frame")
    for i in range(SPARES):
        narrow_places.frames[i] = u32(SPARE >> 12) + u32(i)
    argument.words[0] = u32(address_of(narrow_places))
    argument.words[1] = SPARES
    argument.words[2] = 0
    argument.words[3] = 0
    argument.words[4] = SELF
    check(hypercall_narrow(MEMORY_OP, 1, address_of(argument), 0) == SPARES, "32-bit code cannot give memory back")
    check(has(3) == FRAMES - SPARES, "it is not given back")
    argument.words[0] = u32(address_of(narrow_places))  # has() has overwritten it
    check(hypercall_narrow(MEMORY_OP, 6, address_of(argument), 0) == SPARES, "32-bit code gets no memory")
    check(has(3) == FRAMES, "it does not come back")
    line("32-bit code")


def get_param(index: u32) -> u64:
    argument.words[0] = SELF
    argument.words[1] = index
    check(hypercall(HVM_OP, 1, address_of(argument), 0) == 0, "a parameter cannot be read")
    return u64(argument.words[2])


def signal(port: u32) -> None:
    argument.words[0] = port
    check(hypercall(EVENT_CHANNEL_OP, SEND, address_of(argument), 0) == 0, "the console's port cannot be signalled")


@unbounded("ends when the hypervisor has taken all, and when a key was typed")
def console() -> None:
    """More than its ring holds, then what a person types; and an index that cannot be hurts nobody else."""
    page = get_param(CONSOLE_PFN) << 12
    port = u32(get_param(CONSOLE_EVTCHN))
    check(page != 0 and port != 0, "no console")
    done: u64 = 0
    while done < MUCH:
        at = read32(page + OUT_PROD)
        if at - read32(page + OUT_CONS) == 2048:
            pause()
            continue
        byte = u8(ord("\n")) if done % 100 == 99 else u8(ord("0") + u8(done % 10))
        ptr[u8](page + OUT + u64(at % 2048))[0] = byte
        write32(page + OUT_PROD, at + 1)
        done += 1
        if done % 100 == 0:
            signal(port)
    kept = read32(page + OUT_PROD)
    while read32(page + OUT_CONS) != kept:
        pause()
    write32(page + OUT_PROD, kept + 3000)
    signal(port)
    check(read32(page + OUT_CONS) == kept, "an index that cannot be is heeded")
    write32(page + OUT_PROD, kept)
    line("READY shared")
    while read32(page + IN_PROD) == read32(page + IN_CONS):
        pause()
    typed = ptr[u8](page)[0]
    write32(page + IN_CONS, read32(page + IN_CONS) + 1)
    signal(port)
    line(f"typed {typed}")


def check(right: bool, what: Message) -> None:
    if not right:
        line(what)
        line("DONE shared fail")
        end(POWER_OFF)
