"""Trees in which a domain that has everything went wrong: it is refused in one line that names the place, or built, and
the others run. Each is still a tree, so that it is read to the end; those that are none: tests/common/lib/test_fdt.py.
"""

import copy
import random
import re

import pytest

from tests.common.builder.test_devices import BUS, CELLS, CLOCK, ETHERNET, PARTIAL, board, domain, passed
from tests.common.builder.test_shared_memory import TO, share, sharing
from tests.common.builder.test_static_memory import KERNEL, MIB, PLACE, plain, ranges
from tests.common.guests import MODULES, RAM_BASE, RAM_BYTES, UP, Machine, Node, flat, strings, u32, u64

TREES, PIECE, IN_CI = 5000, 500, 100
RAMDISK = MODULES + 0x1_0000
HEAP = PLACE - 16 * MIB
SHARED = PLACE + 8 * MIB
MOST_DOMAINS = 16
NUMBERS = [
    *(0, 1, 2, 31, 32, 34, 128, 988, 4096, 2**31, 2**32 - 1, 2**63, 2**64 - 4096, 2**64 - 1),
    *(CLOCK, ETHERNET, 0x900_0000, 0x800_0000, BUS, 0x300_1000, 0x2200_0000, TO, 1 << 40, 1 << 48, 1 << 52),
    *(RAM_BASE, RAM_BASE + RAM_BYTES, MODULES, PLACE, SHARED, HEAP, RAMDISK, PARTIAL),
]
NAMES = [
    *("memory", "cpus", "reg", "id", "hard-affinity", "compatible", "#address-cells", "#size-cells", "bootargs"),
    *("vpl011", "nr_spis", "on-crash", "on-reboot", "on-watchdog", "passthrough", "trap-unmapped-accesses"),
    *("direct-map", "llc-colors", "xen,static-mem", "xen,static-heap", "xen,shared-mem", "xen,shm-id", "role"),
    *("xen,path", "xen,reg", "xen,force-assign-without-iommu", "interrupts", "interrupts-extended", "interrupt-map"),
    *("interrupt-parent", "clocks", "phandle", "#clock-cells", "#interrupt-cells", "iommus", "stdout-path"),
    *("constrictor,file", "constrictor,lines", "constrictor,console-input", "domain-cpupool", "xen,passthrough"),
]
PLACES = re.compile(r'\(hv\) \S+: .*("[^"]+"|node /\w+).*: the domain is not built')
"""A property's name, or a node's path."""


def vcpu(id, cpus):
    return Node(f"vcpu{id}", {"compatible": strings("xen,vcpu"), "id": u32(id), "hard-affinity": strings(cpus)})


def whole():
    """The domain "odd" and its partial tree, which are right."""
    clock = Node("clock", {"#clock-cells": u32(0), "phandle": u32(8)})
    phy = Node("phy", {"compatible": strings("phy"), "phandle": u32(9)})
    rtc = passed(interrupts=u32(0) + u32(2) + u32(4), clocks=u32(8), interrupt_parent=u32(1))
    ethernet = passed("eth", ETHERNET, 0x1002_0000, path=f"/ethernet@{ETHERNET:x}", phy_handle=u32(9))
    ethernet.children.append(phy)
    bus = passed("pcie", BUS, 0x10_0000_0000, 0x100_0000, f"/pcie@{BUS:x}")
    top = Node(
        "passthrough", {"compatible": strings("simple-bus"), "ranges": b"", **CELLS}, [clock, rtc, ethernet, bus]
    )
    aliases = Node("aliases", {"rtc0": strings("/passthrough/pl031@10010000")})
    partial = Node("", dict(CELLS), [Node("gic", {"phandle": u32(1)}), aliases, top])
    odd = domain("odd", PARTIAL, 0, 2, vpl011=b"", nr_spis=u32(100), on_crash=strings("restart"))
    odd.properties |= {
        "xen,static-mem": ranges((PLACE, 2 * MIB), (PLACE + 4 * MIB, 2 * MIB)),
        "trap-unmapped-accesses": u32(1),
        "constrictor,file": strings("odd.toml"),
        "constrictor,lines": u64(0x4000_0000) + u64(4 * MIB) + u32(3) + u64(TO) + u64(0x2000) + u32(9),
    }
    odd.children[0].properties["bootargs"] = strings("console=ttyAMA0")
    ramdisk = {"compatible": strings("multiboot,ramdisk", "multiboot,module"), "reg": u64(RAMDISK) + u64(0x3000)}
    odd.children += [
        Node(f"ramdisk@{RAMDISK:x}", ramdisk),
        vcpu(0, "0"),
        vcpu(1, "1-3,5"),
        share("shared", SHARED, TO, 0x2000, role="owner"),
    ]
    return odd, partial


def every(node):
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from every(child)


class Trees:
    """One seed's tree, with one to four changes."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.odd, self.partial = whole()

    def value(self):
        chance = self.chance
        match chance.choice(["cell", "cells", "wide", "bytes", "text", "none"]):
            case "cell":
                return u32(chance.choice(NUMBERS) & 0xFFFF_FFFF)
            case "cells":
                return b"".join(u32(chance.randrange(12)) for _ in range(chance.randrange(10)))
            case "wide":
                return b"".join(u64(chance.choice(NUMBERS)) for _ in range(chance.randrange(8)))
            case "bytes":
                return chance.randbytes(chance.randrange(40))
            case "text":
                said = ["/", "", "/chosen", "/chosen/odd", "0-", "9999999999", "owner", "restart", "x" * 2500]
                return strings(chance.choice([*said, f"/pl031@{CLOCK:x}", "/memory", "stream", "xen,domain"]))
        return b""

    def changed(self, value):
        """A property's."""
        chance, value = self.chance, bytearray(value)
        match chance.choice(["bit", "bit", "byte", "cell", "wide", "shorter", "longer", "twice", "other"]):
            case "bit" if value:
                value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
            case "byte" if value:
                value[chance.randrange(len(value))] = chance.randrange(256)
            case "cell" if len(value) >= 4:
                at = chance.randrange(len(value) // 4) * 4
                value[at : at + 4] = u32(chance.choice(NUMBERS) & 0xFFFF_FFFF)
            case "wide" if len(value) >= 8:
                at = chance.randrange(len(value) // 8) * 8
                value[at : at + 8] = u64(chance.choice(NUMBERS))
            case "shorter":
                del value[chance.randrange(len(value) + 1) :]
            case "longer":
                value += chance.randbytes(chance.choice([1, 4, 8]))
            case "twice":
                value *= 2
            case _:
                return self.value()
        return bytes(value)

    def change(self, root):
        """One property or node there, its root excepted."""
        chance = self.chance
        node = chance.choice(list(every(root)))
        names = sorted(node.properties)
        match chance.choice(["value"] * 8 + ["gone", "new", "renamed", "name", "node gone", "node twice", "moved"]):
            case "value" if names:
                name = chance.choice(names)
                node.properties[name] = self.changed(node.properties[name])
            case "gone" if names:
                del node.properties[chance.choice(names)]
            case "renamed" if names:
                node.properties[chance.choice(NAMES)] = node.properties.pop(chance.choice(names))
            case "name" if node is not root:
                node.name = chance.choice(["a", "odd", "b@0", "passthrough", "gic", "aliases", "x" * 200, "kernel@8"])
            case "node gone" if node.children:
                node.children.remove(chance.choice(node.children))
            case "node twice" if node.children:
                twin = copy.deepcopy(chance.choice(node.children))
                twin.name += "1"
                node.children.append(twin)
            case "moved" if node.children:
                moved = node.children.pop(chance.randrange(len(node.children)))
                chance.choice(list(every(root))).children.append(moved)
            case _:
                node.properties[chance.choice(NAMES)] = self.value()

    def made(self):
        """The machine's tree, and the partial one."""
        chance = self.chance
        friend = sharing("friend", share("shared", SHARED, TO, 0x2000, role="borrower"))
        others = [plain("before"), self.odd, friend, plain("after")]
        tree = board(others)
        devices = [node for node in tree.children if "@" in node.name and "memory" not in node.name]
        for _ in range(chance.randint(1, 4)):
            self.change(chance.choice([self.odd] * 4 + [self.partial] * 3 + devices[1:]))
        blob = flat(self.partial)
        for module in self.odd.children:
            if module.properties.get("reg") == u64(PARTIAL) + u64(0):
                module.properties["reg"] = u64(PARTIAL) + u64(len(blob))
        return flat(tree), blob


def boots_to_the_end(tree, blob):
    machine = Machine(2)
    machine.call("hv.sim.controller.use_arm64_devices")
    machine.put(MODULES, KERNEL)
    machine.put(PARTIAL, blob)
    lines = machine.boot(tree)
    found = [machine.domain(id) for id in range(1, MOST_DOMAINS + 1)]
    states = {machine.host.library.text(it.config.name): it.state for it in found if it is not None}
    return lines, states


def test_the_whole_tree_is_right():
    trees = Trees(0)
    trees.change = lambda _: None
    lines, states = boots_to_the_end(*trees.made())
    assert lines == [] and states == {"before": UP, "odd": UP, "friend": UP, "after": UP}


PIECES = [pytest.param(at, PIECE, marks=pytest.mark.long) for at in range(0, TREES, PIECE)]


@pytest.mark.parametrize(("first", "count"), [(TREES, IN_CI), *PIECES])
def test_a_domain_that_went_wrong_costs_itself_alone(first, count):
    built = 0
    for seed in range(first, first + count):
        lines, states = boots_to_the_end(*Trees(seed).made())
        assert states.get("before") == UP and states.get("after") == UP, (seed, lines)
        assert all(PLACES.fullmatch(line) for line in lines), (seed, lines)
        assert all(line.startswith(("(hv) odd: ", "(hv) friend: ")) for line in lines), (seed, lines)
        assert len({line.split(": ")[0] for line in lines}) == len(lines), "one line each"
        built += "odd" in states
    assert count // 10 < built < count * 9 // 10, "some are refused, and some not"
