"""Long-mode and nested translation tables, walked as the manuals say, from nothing but memory (Intel SDM 3A, 4.5; AMD
APM 2, 15.25)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.common.mm.simulated import BASE, RAM_FRAMES, Machine

R, W, X = 1, 2, 4
PRESENT, WRITABLE, USER, PWT, PCD, LARGE, NX = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 7, 1 << 63
ADDRESS = 0x000F_FFFF_FFFF_F000
PAT = (6, 4, 7, 0, 1, 5, 0, 0)  # hv/x86/control.py
MEMORY = {6: 0, 0: 1, 1: 2}  # write-back, uncacheable, write-combining, as `Memory`


@dataclass(frozen=True)
class Found:
    mfn: int
    access: int
    memory: int
    height: int
    everywhere: bool


class Reserved(AssertionError):
    """An entry has bits set that must be zero: the CPU would fault."""


def entry_at(machine: Machine, table: int, index: int) -> int:
    assert BASE <= table < BASE + RAM_FRAMES, f"a table lies at frame {table:#x}, which is no memory"
    return int.from_bytes(machine.memory(table)[index * 8 : index * 8 + 8], "little")


def walk(machine: Machine, root: int, at: int, *, large_1g: bool, user: bool) -> Found | None:
    """What the CPU makes of a frame number; `user`: the access is a user's, as in nested tables."""
    table, writable, executable = root, True, True
    for height in (3, 2, 1, 0):
        entry = entry_at(machine, table, at >> 9 * height & 511)
        if not entry & PRESENT:
            return None
        if user and not entry & USER:
            return None
        writable &= bool(entry & WRITABLE)
        executable &= not entry & NX
        leaf = height == 0 or bool(entry & LARGE)
        if not leaf:
            table = (entry & ADDRESS) >> 12
            continue
        if height == 3 or (height == 2 and not large_1g):
            raise Reserved(f"a leaf at height {height}: {entry:#x}")
        pat = entry >> (12 if height else 7) & 1
        address = entry & ADDRESS & ~(1 << 12 if height else 0)
        if address & ((1 << 12 + 9 * height) - 1):
            raise Reserved(f"the address of a block is not a multiple of its size: {entry:#x}")
        kind = PAT[pat << 2 | bool(entry & PCD) << 1 | bool(entry & PWT)]
        frame = (address >> 12) + (at & (1 << 9 * height) - 1)
        access = R | W * writable | X * executable
        return Found(frame, access, MEMORY[kind], height, bool(entry >> 8 & 1))
    raise AssertionError("unreachable")
