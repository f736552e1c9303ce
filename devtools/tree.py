"""Changes to a compiled device tree."""

import re
from collections.abc import Iterator

import libfdt

ROOM = 1 << 12


def seeded(dtb: bytes, seed: int) -> bytes:
    """The tree with the word seed=NUMBER in any bootargs replaced, which is how a guest is given its seed."""
    fdt = libfdt.Fdt(dtb)
    fdt.resize(fdt.totalsize() + ROOM)
    for path, text in list(_bootargs(fdt)):
        changed = re.sub(r"(?<!\S)seed=\d+", f"seed={seed}", text)
        if changed != text:
            fdt.setprop_str(fdt.path_offset(path), "bootargs", changed)
    fdt.pack()
    return bytes(fdt.as_bytearray())[: fdt.totalsize()]


def _bootargs(fdt: libfdt.Fdt) -> Iterator[tuple[str, str]]:
    """The path and the text of every bootargs."""
    quiet = (libfdt.NOTFOUND,)
    node, depth = 0, 0
    while node >= 0 and depth >= 0:
        value = fdt.getprop(node, "bootargs", quiet)
        if not isinstance(value, int):
            yield fdt.get_path(node), value.as_str()
        node, depth = fdt.next_node(node, depth, quiet)
