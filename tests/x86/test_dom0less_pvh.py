"""Domains from device trees whose modules the boot loader has numbered, with PVH kernels: what is accepted, that each
mistake costs its domain alone, in one line, and that what is accepted has room in its domain's memory.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.guests import (
    IMAGE,
    MODULES,
    TREE,
    VCPUS,
    Machine,
    Node,
    domain_node,
    flat,
    machine_tree,
    strings,
    u32,
)

PAGE, MIB = 4096, 1 << 20
READER = "hv.common.builder.dom0less."
LOADER = "hv.x86.pvh_loader.PvhLoader."
ENTRY, KERNEL_AT, KERNEL_END = 0x10_0010, 0x10_0000, 0x14_0000
TREE_NUMBER, KERNEL, RAMDISK, TEXT, EMPTY = range(5)


def elf(entry=ENTRY, at=KERNEL_AT, memory=KERNEL_END - KERNEL_AT) -> bytes:
    """A kernel with two segments and a PVH note."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, 0, at, 0x800, 0x1000, 1)
    head += struct.pack("<IIQQQQQQ", 1, 6, 0x800, 0, at + 0x2000, 0x800, memory - 0x2000, 1)
    head += struct.pack("<IIQQQQQQ", 4, 4, 0x240, 0, 0, len(note), len(note), 1)
    return (head.ljust(0x240, b"\0") + note).ljust(0x1000, b"\x5a")


FILES = {KERNEL: elf(), RAMDISK: bytes(range(256)) * 20, TEXT: b"no kernel" * 100, EMPTY: b""}


def numbered(kind: str, index: int, **more: bytes) -> Node:
    return Node(kind, {"compatible": strings(f"multiboot,{kind}", "multiboot,module"), "mb-index": u32(index), **more})


def kernel(index: int = KERNEL, **more: bytes) -> Node:
    return numbered("kernel", index, **more)


def ramdisk(index: int = RAMDISK) -> Node:
    return numbered("ramdisk", index)


def good(name: str) -> Node:
    return domain_node(name, [kernel(bootargs=strings("console=hvc0")), ramdisk()])


class Pc(Machine):
    """Whose boot loader has handed over the tree and the files."""

    def read(self, tree: bytes, files: dict[int, bytes] = FILES) -> list[str]:
        """As x86's boot does it, up to where domains are built. Returns what was printed."""
        self.call("hv.sim.pvh.use_pvh_kernels")
        self.put(TREE, tree)
        self.call(f"{VCPUS}load_tree", TREE, len(tree))
        early = self.host.variable("hv.common.mm.early.early")
        self.call("hv.common.drivers.devicetree.add_memory")
        modules = self.host.variable("hv.common.builder.boot_modules.boot_modules")
        ranges = [IMAGE]
        at = MODULES
        for number, file in {TREE_NUMBER: tree, **files}.items():
            start = TREE if number == TREE_NUMBER else at
            self.put(start, file)
            modules.table[number].start, modules.table[number].bytes = start, len(file)
            if file:
                ranges.append((start, start + len(file)))
            at += -(-len(file) // PAGE) * PAGE + PAGE
        modules.count = 1 + len(files)
        for start, end in ranges:
            self.call("hv.common.mm.early.EarlyMemory.reserve", early, start, end)
        self.call(f"{READER}read_domains", self.cpus)
        return self.lines()

    @property
    def descriptions(self) -> dict[str, object]:
        found = self.host.variable("hv.common.builder.description.descriptions")
        each = [self.ffi.addressof(found.table, i) for i in range(found.count)]
        return {bytes(self.ffi.buffer(one.name.data, one.name.length)).decode(): one for one in each}

    def check_room(self, description) -> None:
        """What goes into the domain's memory lies in it, and nothing on anything else."""
        loader = self.host.variable("hv.x86.pvh_loader.pvh_loader")
        place = self.call(f"{LOADER}place", loader, description)
        room = self.call(f"{LOADER}room", loader, description)
        parts = [(KERNEL_AT, description.kernel_end), (place.tree, place.tree + room)]
        if description.ramdisk.bytes:
            parts.append((place.ramdisk, place.ramdisk + description.ramdisk.bytes))
        for (_, end), (start, _) in pairwise(sorted(parts)):
            assert end <= start
        assert max(end for _, end in parts) <= description.frames * PAGE
        for segment in description.segments[0 : description.segment_count]:
            assert segment.to + segment.contents.length <= description.kernel_end
        assert place.kernel == description.entry < description.kernel_end


def boot(*nodes: Node, files: dict[int, bytes] = FILES) -> tuple[Pc, list[str]]:
    machine = Pc(4)
    return machine, machine.read(flat(machine_tree(nodes, 4)), files)


def test_what_a_node_says_is_what_a_domain_gets() -> None:
    machine, printed = boot(domain_node("a", [kernel(bootargs=strings("quiet")), ramdisk()], 8192, 3))
    assert printed == []
    (one,) = machine.descriptions.values()
    assert (one.frames, one.vcpus, one.entry, one.kernel_end) == (2048, 3, ENTRY, KERNEL_END)
    assert (one.kernel.bytes, one.ramdisk.bytes) == (len(FILES[KERNEL]), len(FILES[RAMDISK]))
    assert [(s.to, s.contents.length) for s in one.segments[0 : one.segment_count]] == [
        (KERNEL_AT, 0x800),
        (KERNEL_AT + 0x2000, 0x800),
    ]
    machine.check_room(one)


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (kernel(TEXT), 'property "mb-index" of kernel leads to no bzImage'),
        (kernel(TREE_NUMBER), 'property "mb-index" of kernel leads to no bzImage'),
        (kernel(EMPTY), 'property "mb-index" of kernel is 4, a module that is empty'),
        (kernel(5), 'property "mb-index" of kernel is 5: the boot loader has handed over 5 modules'),
        (kernel(0xFFFF_FFFF), "is 4294967295: the boot loader has handed over 5 modules"),
        (Node("kernel", {"compatible": strings("multiboot,kernel"), "mb-index": b"\0"}), "is not one number"),
        (Node("kernel", {"compatible": strings("multiboot,kernel")}), 'property "reg" of kernel is missing'),
    ],
)
def test_a_mistake_refuses_its_domain_in_one_line(node: Node, why: str) -> None:
    machine, printed = boot(good("a"), domain_node("bad", [node]), good("c"))
    (line,) = printed
    assert line.startswith("(hv) bad: ") and why in line and line.endswith(": the domain is not built")
    assert list(machine.descriptions) == ["a", "c"]


@pytest.mark.parametrize("kib", [1024, 1280])
def test_memory_that_is_too_small_is_told(kib: int) -> None:
    _, (line,) = boot(domain_node("small", [kernel()], kib))
    assert f"is {kib} KiB, in which kernel, ramdisk and device tree have no room" in line


VALUES = st.one_of(
    st.binary(max_size=24),
    st.integers(0, 8).map(u32),
    st.integers(0, 2**32 - 1).map(u32),
    st.integers(0, 2**64 - 1).map(lambda n: struct.pack(">Q", n)),
    st.sampled_from(["restart", "destroy", "multiboot,kernel", "multiboot,ramdisk", "0-3", "9"]).map(strings),
    st.just(b""),
)
NAMES = st.sampled_from(
    ["memory", "cpus", "mb-index", "reg", "id", "hard-affinity", "compatible", "bootargs", "on-crash", "on-reboot"]
)


def odd() -> Node:
    vcpus = [Node(f"v{i}", {"compatible": strings("xen,vcpu"), "id": u32(i)}) for i in range(2)]
    return domain_node("odd", [kernel(bootargs=strings("x")), ramdisk(), *vcpus], cpus=2)


@settings(max_examples=80)
@given(changes=st.lists(st.tuples(st.integers(0, 4), NAMES, st.one_of(st.none(), VALUES)), min_size=1, max_size=4))
def test_odd_properties_cost_at_most_their_domain(changes) -> None:
    node = odd()
    places = [node, *node.children]
    for place, name, value in changes:
        if value is None:
            places[place].properties.pop(name, None)
        else:
            places[place].properties[name] = value
    machine, printed = boot(good("before"), node, good("after"))
    found = machine.descriptions
    assert "before" in found and "after" in found
    if strings("xen,domain") in node.properties.get("compatible", b"") and "odd" not in found:
        (line,) = printed
        assert line.startswith("(hv) odd: ") and line.endswith(": the domain is not built")
    else:
        assert printed == []
    for one in found.values():
        machine.check_room(one)


@settings(max_examples=80)
@given(data=st.data())
def test_any_bytes_in_the_structure(data) -> None:
    """A tree that is still well-formed after some of its bytes have changed is read to its end."""
    machine = Pc(2)
    tree = bytearray(flat(machine_tree([good("a"), odd(), good("c")], 2)))
    start, size = struct.unpack_from(">I", tree, 8)[0], struct.unpack_from(">I", tree, 36)[0]
    begin = tree.index(b"chosen", start)
    for _ in range(data.draw(st.integers(1, 3))):
        tree[data.draw(st.integers(begin, start + size - 1))] = data.draw(st.integers(0, 255))
    view = machine.host.bytes(tree)
    if machine.host.errno("lib.fdt.Fdt.init", machine.host.library.new("hv.common.lib.fdt.Fdt"), view[0]):
        return
    for line in machine.read(bytes(tree)):
        assert line.endswith(": the domain is not built")
    for one in machine.descriptions.values():
        machine.check_room(one)


@settings(max_examples=100)
@given(changes=st.lists(st.tuples(st.integers(0, 0x27F), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_bytes_in_the_kernels_headers(changes) -> None:
    """The kernel is refused, or has room in the domain's memory."""
    file = bytearray(FILES[KERNEL])
    for at, byte in changes:
        file[at] = byte
    machine, printed = boot(good("a"), domain_node("b", [kernel(RAMDISK + 3)]), files={**FILES, 5: bytes(file)})
    found = machine.descriptions
    assert "a" not in printed and "a" in found
    if "b" not in found:
        (line,) = printed
        assert line.startswith("(hv) b: ")
        return
    one = found["b"]
    assert one.entry < one.kernel_end <= one.frames * PAGE
    for segment in one.segments[0 : one.segment_count]:
        assert segment.to + segment.contents.length <= one.kernel_end
