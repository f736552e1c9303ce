"""How much memory Xen keeps for itself: what is free once it runs, which a debug key of its console tells.

Xen takes keys only while it has a domain. On arm64 that is the bench unikernel, on x86 a domain 0 of one instruction.
"""

import re
import struct

from devtools.machine import Machine, NotSeen
from devtools.report import Problem

SECONDS = 120  # of wall-clock time, for what takes a few on an idle machine
DOMAIN_MEMORY = 16  # MiB, in traps.toml and of the domain 0
SWITCH_INPUT = "\x01\x01\x01"  # Ctrl-A three times: to the next domain, after the last one to Xen
INPUT_GOES = re.compile(r"Serial input to (\S+) \(")
FREE = re.compile(r"Dom heap: (\d+)kB free")

VIRT_BASE = 0xFFFF_FFFF_8000_0000
PLACE = 1 << 20
ENTRY = 1
"""Notes of a kernel for Xen (public/elfnote.h, XEN_ELFNOTE_*)."""
NOTES = (
    (ENTRY, struct.pack("<Q", VIRT_BASE + PLACE)),
    (3, struct.pack("<Q", VIRT_BASE)),
    (5, b"xen-3.0\0"),
    (6, b"bench\0"),
    (8, b"generic\0"),
)
JUMP_TO_ITSELF = b"\xeb\xfe"


def domain_0() -> bytes:
    """An ELF of a paravirtual kernel for x86-64 that does nothing for ever (System V ABI, chapters 4 and 5)."""
    header, segment = 64, 56
    notes = b"".join(
        struct.pack("<III4s", 4, len(value), kind, b"Xen") + value + bytes(-len(value) % 4) for kind, value in NOTES
    )
    start = header + 2 * segment
    code = start + len(notes)
    executable, x86_64, load, note = 2, 62, 1, 4
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    elf = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity,
        executable,
        x86_64,
        1,
        VIRT_BASE + PLACE,
        header,
        0,
        0,
        header,
        segment,
        2,
        0,
        0,
        0,
    )
    for kind, flags, offset, size in ((load, 7, code, len(JUMP_TO_ITSELF)), (note, 4, start, len(notes))):
        elf += struct.pack("<IIQQQQQQ", kind, flags, offset, VIRT_BASE + PLACE, PLACE, size, size, 1)
    return elf + notes + JUMP_TO_ITSELF


def kept(command: list[str], gibibytes: int) -> int:
    """KiB of each GiB that neither are free nor belong to the one domain, on a machine whose command starts Xen.

    Problem: Xen does not tell.
    """
    with Machine(command) as machine:
        try:
            machine.expect(INPUT_GOES, SECONDS)
            machine.expect("Freed ", SECONDS)
            machine.send(SWITCH_INPUT)
            while not machine.expect(INPUT_GOES, SECONDS).startswith("Serial input to Xen"):
                machine.send(SWITCH_INPUT)
            machine.send("m")
            said = FREE.search(machine.expect(FREE, SECONDS))
        except NotSeen as why:
            raise Problem(f"Xen did not tell how much memory is free: {why}", 1) from None
        assert said is not None
    return ((gibibytes << 10) - DOMAIN_MEMORY << 10) // gibibytes - int(said[1]) // gibibytes
