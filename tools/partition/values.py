"""The values that keys of a partition file may have: each reader turns what TOML gives into what the compiler uses, or
raises Wrong with what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tools.partition.cpus import CpuSet, parse_cpus
from tools.partition.mistakes import Wrong, shown
from tools.partition.model import GIB, KIB, MIB, Places, format_size

PAGE = 4 * KIB
BLOCK = 2 * MIB  # the hypervisor maps guest memory in blocks of this size, and modules begin on such a boundary
HEAP_BLOCK = 64 * KIB  # of `xen,static-heap`
MAX_GUEST_MEMORY = 1019 * GIB  # both banks of the guest's physical map: 3 GiB and 1016 GiB (public/arch-arm.h)
MAX_VCPUS = 128  # GUEST_MAX_VCPUS (public/arch-arm.h)
MAX_ADDRESS = 1 << 52  # the largest physical address space of AArch64 (ID_AA64MMFR0_EL1.PARange)
MAX_COMMAND_LINE = 2047  # bytes; arm64 Linux keeps COMMAND_LINE_SIZE = 2048 with the closing NUL
MAX_SHM_ID = 15  # characters of `xen,shm-id`
MAX_SPIS = 988  # of a GIC's distributor: INTIDs 32 to 1019
FIRST_SPI = 32
MAX_COLORS = 128
MAX_PATH = 1023  # characters of a node's path
MAX_FREQUENCY = (1 << 32) - 1  # Hz, in one cell

ENDINGS = ("restart", "destroy")  # what becomes of a domain that has come to an end
PLACES = ("same", "free", "none")

Reader = Callable[[Any], Any]

EXAMPLES = {
    "name": 'name = "linux1"',
    "memory": 'memory = "256M"',
    "cpus": "cpus = 2",
    "kernel": 'kernel = "Image"',
    "affinity": 'affinity = "0-3", or one string per vcpu: affinity = ["0", "1-3"]',
    "path": 'path = "/soc/ethernet@ff0e0000"',
    "at": "at = 0x60000000",
    "size": 'size = "2M"',
    "guest_at": "guest_at = 0x10000000, or one for each domain: guest_at = { linux1 = 0x10000000 }",
    "borrowers": 'borrowers = ["linux2"]',
}


def read_text(value: Any, instead: str) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not text", instead)
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise Wrong(
            f"{shown(value)} has a line break or another control character",
            'write one line; in """...""" end each line with a backslash',
        )
    return value


def read_name(value: Any) -> str:
    name = read_text(value, f"write {EXAMPLES['name']}")
    if not re.fullmatch(r"[a-z0-9-]{1,15}", name):
        plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:15]
        raise Wrong(
            f"{shown(name)} is not a domain name",
            'use 1 to 15 of the characters a-z, 0-9 and "-"' + (f', such as "{plain}"' if plain else ""),
        )
    return name


def read_memory(value: Any) -> int:
    """The memory of a domain in KiB."""
    size = read_bytes(value)
    if size <= 0:
        raise Wrong("a domain needs memory", f"write {EXAMPLES['memory']}")
    if size > MAX_GUEST_MEMORY:
        raise Wrong(
            f"{shown(value)} is more than a guest can address ({format_size(MAX_GUEST_MEMORY)})",
            'write a size such as "1G" (a number without quotes counts MiB)',
        )
    if size % BLOCK:
        below, above = size // BLOCK * BLOCK, -(-size // BLOCK) * BLOCK
        choice = " or ".join(f'"{format_size(near)}"' for near in (below, above) if near)
        raise Wrong(f"{format_size(size)} is not a multiple of {format_size(BLOCK)}", f"write {choice}")
    return size // KIB


def read_bytes(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value * MIB
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a memory size", f"write {EXAMPLES['memory']}")
    match = re.fullmatch(r"([0-9]{1,15})([KMG])", value)
    if not match:
        near = re.fullmatch(r"\s*([0-9]{1,15})\s*([kmgKMG]?)(?:i?[bB])?\s*", value)
        better = f'"{near[1]}{near[2].upper() or "M"}"' if near else EXAMPLES["memory"]
        raise Wrong(f"{shown(value)} is not a memory size", f"write digits and K, M or G, here {better}")
    return int(match[1]) * {"K": KIB, "M": MIB, "G": GIB}[match[2]]


def read_cpus(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(f"{shown(value)} is not a number of vcpus", f"write {EXAMPLES['cpus']}")
    if not 1 <= value <= MAX_VCPUS:
        raise Wrong(f"a domain cannot have {shown(value)} vcpus", f"write a number from 1 to {MAX_VCPUS}")
    return value


def read_file(value: Any) -> str:
    name = read_text(value, "write the file's name in quotes")
    if not name:
        raise Wrong("the file's name is empty", "write the file's name, or leave the key out where it is optional")
    return name


def read_command_line(value: Any) -> str:
    text = read_text(value, "write the words in one pair of quotes")
    if len(text.encode()) > MAX_COMMAND_LINE:
        raise Wrong(f"{len(text.encode())} bytes are too long for a command line", f"use at most {MAX_COMMAND_LINE}")
    return text


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"{shown(value)} is neither true nor false", "write true or false, without quotes")
    return value


def read_affinity(value: Any) -> CpuSet | list[CpuSet]:
    if isinstance(value, str):
        return parse_cpus(value)
    if not isinstance(value, list):
        raise Wrong(f"{shown(value)} is not an affinity", f"write {EXAMPLES['affinity']}")
    sets = []
    for index, text in enumerate(value):
        if not isinstance(text, str):
            raise Wrong(f"{shown(text)} is not a list of CPUs", 'write CPUs in quotes, such as "0-3"', index)
        try:
            sets.append(parse_cpus(text))
        except Wrong as wrong:
            raise Wrong(f"vcpu {index}: {wrong.what}", wrong.instead, index) from None
    return sets


def affinity_per_vcpu(affinity: CpuSet | list[CpuSet] | None, cpus: int | None) -> tuple[CpuSet, ...] | None:
    if affinity is None or cpus is None:
        return None
    if isinstance(affinity, frozenset):
        return (affinity,) * cpus
    if len(affinity) != cpus:
        raise Wrong(
            f"affinity: {len(affinity)} entries for {cpus} vcpus",
            "write one string per vcpu in the array, or a single string for all of them",
        )
    return tuple(affinity)


def read_ending(value: Any) -> str:
    if value not in ENDINGS:
        raise Wrong(f"{shown(value)} is no way to go on", f"write one of {', '.join(map(shown, ENDINGS))}")
    return str(value)


def read_load_base(value: Any) -> int:
    return read_address(value, BLOCK)


def read_address(value: Any, boundary: int = 1, most: int = MAX_ADDRESS) -> int:
    """A physical address, in bytes."""
    if not is_number(value):
        raise Wrong(f"{shown(value)} is not an address", "write a number, such as 0x50000000")
    if value % boundary or not 0 <= value < most:
        where = f"{value:#x}" if 0 <= value < 1 << 64 else shown(value)
        near = max(0, min(value, most - boundary)) // boundary * boundary
        on = f" on a boundary of {format_size(boundary)}" if boundary > 1 else ""
        raise Wrong(f"{where} is not a physical address{on}", f"write {near:#x}")
    return int(value)


def is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def read_size(value: Any, boundary: int) -> int:
    """A size in bytes."""
    size = read_bytes(value)
    if size <= 0 or size > MAX_ADDRESS or size % boundary:
        near = min(max(-(-size // boundary) * boundary, boundary), MAX_ADDRESS)
        what = f"{shown(value)} is not a positive multiple of {format_size(boundary)}"
        raise Wrong(what, f'write "{format_size(near)}"')
    return size


def read_path(value: Any) -> str:
    path = read_text(value, f"write {EXAMPLES['path']}")
    if not path or len(path) > MAX_PATH:
        raise Wrong(f"{shown(path)} is no path of a node", f"write {EXAMPLES['path']}, or an alias of the tree")
    return path


def read_places(value: Any) -> Places:
    """Where a guest finds a device's registers and windows."""
    if not isinstance(value, list):
        return (_place(value),)
    places = []
    for index, each in enumerate(value):
        try:
            places.append(_place(each))
        except Wrong as wrong:
            raise Wrong(wrong.what, wrong.instead, index) from None
    if not places:
        raise Wrong("the array is empty", "write an address for each of the device's ranges, or leave the key out")
    return tuple(places)


def _place(value: Any) -> int | str:
    if isinstance(value, str):
        if value not in PLACES:
            raise Wrong(f"{shown(value)} is no place", f"write an address, or one of {', '.join(map(shown, PLACES))}")
        return value
    return read_address(value)


def read_interrupts(value: Any) -> tuple[int, ...]:
    """INTIDs."""
    if not isinstance(value, list):
        raise Wrong(f"{shown(value)} is no list of interrupts", "write their numbers, such as [112, 113]")
    for index, each in enumerate(value):
        if not is_number(each) or not FIRST_SPI <= each < FIRST_SPI + MAX_SPIS:
            last = FIRST_SPI + MAX_SPIS - 1
            what = f"{shown(each)} is no shared peripheral interrupt"
            raise Wrong(what, f"write its INTID, {FIRST_SPI} to {last}: 32 more than in the tree", index)
        if each in value[:index]:
            raise Wrong(f"{each} is there twice", "write it once", index)
    return tuple(value)


def read_spis(value: Any) -> int:
    if not is_number(value) or not 0 <= value <= MAX_SPIS:
        raise Wrong(f"{shown(value)} is no number of interrupts", f"write a number from 0 to {MAX_SPIS}")
    return int(value)


def read_frequency(value: Any) -> int:
    """Hz."""
    if not is_number(value) or not 0 <= value <= MAX_FREQUENCY:
        raise Wrong(f"{shown(value)} is no frequency", "write it in Hz, such as 100000000, or 0 to leave clocks out")
    return int(value)


def read_words(value: Any) -> tuple[str, ...]:
    """Names, each once."""
    if not isinstance(value, list):
        raise Wrong(f"{shown(value)} is no list of names", 'write ["one", "two"]')
    words: list[str] = []
    for index, each in enumerate(value):
        if not isinstance(each, str) or not each:
            raise Wrong(f"{shown(each)} is no name", "write it in quotes", index)
        if each in words:
            raise Wrong(f"{shown(each)} is there twice", "write it once", index)
        words.append(each)
    return tuple(words)


def read_colors(value: Any) -> CpuSet:
    """Colours are written as CPUs are."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is no list of colours", 'write numbers and ranges, such as llc_colors = "0-3,8"')
    try:
        colors = parse_cpus(value)
    except Wrong:
        raise Wrong(f"{shown(value)} is no list of colours", 'write numbers and ranges, such as "0-3,8"') from None
    if max(colors) >= MAX_COLORS:
        raise Wrong(f"no machine has a colour {max(colors)}", f"count them from 0; {MAX_COLORS} are the most")
    return colors


def read_color_count(value: Any) -> int:
    if not is_number(value) or not 1 <= value <= MAX_COLORS or value & value - 1:
        raise Wrong(f"{shown(value)} is no number of colours", f"write a power of two up to {MAX_COLORS}")
    return int(value)


def read_shm_id(value: Any) -> str:
    name = read_text(value, 'write name = "ring"')
    if not re.fullmatch(rf"[A-Za-z0-9_.-]{{1,{MAX_SHM_ID}}}", name):
        what = f"{shown(name)} is no name of shared memory"
        raise Wrong(what, f'use 1 to {MAX_SHM_ID} of the characters a-z, A-Z, 0-9, "_", "." and "-"')
    return name


def read_guest_at(value: Any) -> dict[str, int] | int:
    """One address for all domains, or one for each."""
    if isinstance(value, dict):
        return {str(domain): read_address(each, PAGE) for domain, each in value.items()}
    return read_address(value, PAGE)
