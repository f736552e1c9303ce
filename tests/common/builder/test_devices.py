"""Partial device trees: what a domain gets of the machine by them, what its own tree says then, and that each mistake
costs its domain alone, in one line.
"""

import libfdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.guests import (
    MODULES,
    RAM_BASE,
    UP,
    Machine,
    Node,
    domain_node,
    flat,
    kernel_image,
    machine_tree,
    module,
    strings,
    u32,
    u64,
)

KERNEL = MODULES
KERNEL_SIZE = 0x8000
PARTIAL = MODULES + 0x2_0000
NEXT = 0x1_0000
DEVICE, NOTHING = 3, 0
GIC, GPIO, PLAIN_GIC = 0x8001, 0x8003, 0x8004
CLOCK = 0x901_0000
CLOCK_INTERRUPT = 34
ETHERNET = 0xA00_0000
UART = 0x900_0000
BUS = 0x4000_0000_00
CELLS = {"#address-cells": u32(2), "#size-cells": u32(2)}


def device(name, start, *interrupts, **more):
    """A device of the machine; interrupts are of level, without the 32."""
    named = {key.replace("_", "-"): value for key, value in more.items()}
    listed = b"".join(u32(0) + u32(n) + u32(4) for n in interrupts)
    return Node(f"{name}@{start:x}", {"reg": u64(start) + u64(0x1000), "interrupts": listed, **named})


def entry(number, controller=GIC):
    """Of `interrupts-extended`."""
    return u32(controller) + u32(0) + u32(number) + u32(4)


def board(domains, extra=()):
    """The simulated machine with a GIC and some devices."""
    tree = machine_tree(domains)
    tree.properties["interrupt-parent"] = u32(GIC)
    gic = {
        "compatible": strings("arm,gic-400"),
        "reg": u64(0x800_0000) + u64(0x1_0000) + u64(0x80A_0000) + u64(0xF6_0000),
        "phandle": u32(GIC),
        "#address-cells": u32(2),
        "#size-cells": u32(2),
        "#interrupt-cells": u32(3),
        "interrupt-controller": b"",
    }
    routed = b"".join(
        u32(slot << 11) + u64(0) + u32(pin + 1) + u32(GIC) + u64(0) + u32(0) + u32(3 + (slot + pin) % 4) + u32(4)
        for slot in range(4)
        for pin in range(4)
    )
    bus = {
        "#address-cells": u32(3),
        "#size-cells": u32(2),
        "#interrupt-cells": u32(1),
        "interrupt-map": routed,
        "reg": u64(BUS) + u64(0x100_0000),
    }
    tree.children += [
        Node("intc@8000000", gic),
        device("pl011", UART, 1),
        device("pl031", CLOCK, 2),
        device("ethernet", ETHERNET, 16, 17),
        device("gpio", 0x903_0000, 7, phandle=u32(GPIO), interrupt_controller=b"", **{"#interrupt-cells": u32(2)}),
        device("button", 0x904_0000, 9, interrupt_parent=u32(GPIO)),
        Node(f"pcie@{BUS:x}", bus),
        *extra,
    ]
    for node in tree.children:
        if node.name == "chosen":
            node.properties["stdout-path"] = strings(f"/pl011@{UART:x}")
    return tree


def passed(
    name="pl031@10010000", start=CLOCK, to=0x1001_0000, size=0x1000, path=f"/pl031@{CLOCK:x}", forced=True, **more
):
    """A node of a partial tree."""
    properties = {
        "compatible": strings("arm,pl031"),
        "reg": u64(to) + u64(size),
        "xen,path": strings(path),
        "xen,reg": u64(start) + u64(size) + u64(to),
    }
    if forced:
        properties["xen,force-assign-without-iommu"] = b""
    properties.update({key.replace("_", "-"): value for key, value in more.items()})
    return Node(name, properties)


def partial(*nodes, gic=1, aliases=None, top=None):
    children = [
        Node("passthrough", {"compatible": strings("simple-bus"), "ranges": b"", **CELLS, **(top or {})}, list(nodes))
    ]
    if gic is not None:
        children.insert(0, Node("gic", {"phandle": u32(gic)}))
    if aliases:
        children.insert(0, Node("aliases", aliases))
    return flat(Node("", CELLS, children))


def domain(name, at, size, cpus=1, **more):
    named = {key.replace("_", "-") if key != "nr_spis" else key: value for key, value in more.items()}
    children = [module("kernel", KERNEL, KERNEL_SIZE), module("device-tree", at, size)]
    return domain_node(name, children, cpus=cpus, **named)


def boot(*trees, extra=(), others=(), **more):
    """Domains a, b, … with partial trees, in this order, and then others."""
    machine = Machine(2)
    machine.call("hv.sim.controller.use_arm64_devices")
    machine.put(KERNEL, kernel_image(KERNEL_SIZE))
    domains = []
    for i, blob in enumerate(trees):
        machine.put(PARTIAL + i * NEXT, blob[:NEXT])
        domains.append(domain("abcdefg"[i], PARTIAL + i * NEXT, len(blob), **more))
    machine.printed = machine.boot(flat(board([*domains, *others], extra)))
    return machine


def spi(machine, intid):
    return machine.host.variable("hv.sim.controller.simulated_controller").shared[intid]


def owner(machine, intid):
    found = machine.call("hv.arm64.spis.owner_of", intid)
    return machine.host.library.text(found.config.name) if found else None


def guest_tree(machine, id=1):
    memory = machine.domain(id)
    placed = machine.host.variable("hv.common.builder.lifecycle.lives").table[id - 1].construction
    size = placed.tree.bytes
    return libfdt.Fdt(machine.guest_bytes(memory, placed.placement.tree, size))


def test_a_domain_gets_registers_and_interrupts():
    """In place, under their numbers, masked, until the guest enables them; and the guest's tree says so."""
    node = passed(interrupts=u32(0) + u32(2) + u32(4), phandle=u32(7))
    blob = partial(node, aliases={"rtc0": strings("/passthrough/pl031@10010000")}, gic=5)
    machine = boot(blob, vpl011=b"")
    assert machine.printed == []
    a = machine.domain(1)
    assert a.state == UP
    found = machine.call("hv.common.mm.p2m.P2m.lookup", machine.p2m(a), 0x10010)
    assert (found.kind, found.mfn) == (DEVICE, CLOCK >> 12)
    for beside in (0x1000F, 0x10011, CLOCK >> 12):
        assert machine.call("hv.common.mm.p2m.P2m.lookup", machine.p2m(a), beside).kind == NOTHING
    assert owner(machine, CLOCK_INTERRUPT) == "a" and not spi(machine, CLOCK_INTERRUPT).enabled
    tree = guest_tree(machine)
    rtc = tree.path_offset("/passthrough/pl031@10010000")
    names = {tree.get_property_by_offset(p).name for p in properties(tree, rtc)}
    assert names == {"compatible", "reg", "interrupts", "phandle"}
    gic = tree.path_offset("/interrupt-controller@3001000")
    assert tree.getprop(gic, "phandle").as_uint32() == 5
    assert tree.getprop(0, "interrupt-parent").as_uint32() == 5
    aliases = tree.path_offset("/aliases")
    assert tree.getprop(aliases, "rtc0").as_str() == "/passthrough/pl031@10010000"
    assert tree.getprop(aliases, "serial0").as_str() == "/sbsa-uart@22000000"
    assert tree.getprop(tree.path_offset("/passthrough"), "compatible").as_str() == "simple-bus"


def properties(tree, node):
    offset = tree.first_property_offset(node, (libfdt.NOTFOUND,))
    while offset >= 0:
        yield offset
        offset = tree.next_property_offset(offset, (libfdt.NOTFOUND,))


def test_a_controllers_phandle_is_one_that_nothing_else_has():
    blob = partial(passed(phandle=u32(41)), gic=None)
    tree = guest_tree(boot(blob))
    assert tree.getprop(tree.path_offset("/interrupt-controller@3001000"), "phandle").as_uint32() == 42


def test_windows_of_many_sizes_are_mapped_whole():
    sizes = [(0x1_0000_0000, 0x10_0000_0000, 0x40_3000), (0x2_0000_0000, 0x8_4000_0000 - 0x1000, 0x4000_1000)]
    node = passed(path=f"/ethernet@{ETHERNET:x}")
    node.properties["xen,reg"] = b"".join(u64(start) + u64(size) + u64(to) for start, to, size in sizes)
    machine = boot(partial(node))
    assert machine.printed == []
    p2m = machine.p2m(machine.domain(1))
    for start, to, size in sizes:
        for offset in (0, 0x1000, size // 2 & ~0xFFF, size - 0x1000):
            found = machine.call("hv.common.mm.p2m.P2m.lookup", p2m, (to + offset) >> 12)
            assert (found.kind, found.mfn) == (DEVICE, (start + offset) >> 12)
        assert machine.call("hv.common.mm.p2m.P2m.lookup", p2m, (to + size) >> 12).kind == NOTHING


def test_a_bus_gives_the_interrupts_of_all_on_it():
    node = passed("pcie", BUS, 0x10_0000_0000, 0x100_0000, f"/pcie@{BUS:x}")
    machine = boot(partial(node))
    assert machine.printed == []
    assert [owner(machine, n) for n in range(34, 40)] == [None, "a", "a", "a", "a", None]


def test_a_device_names_its_interrupts_controllers_itself():
    """`interrupts-extended`, before `interrupts`, with entries of a controller that is part of the device; up to the
    last number that a GIC has."""
    listed = entry(20) + u32(77) + u32(5) + entry(987)
    inner = Node("inner", {"phandle": u32(77), "#interrupt-cells": u32(1), "interrupt-controller": b""})
    extra = Node("mux@8000", {"interrupts-extended": listed, "interrupts": u32(0) + u32(21) + u32(4)}, [inner])
    told = {"interrupts-extended": entry(987, 1) + entry(20, 1)}
    machine = boot(partial(passed(path="/mux@8000", **told)), extra=[extra])
    assert machine.printed == []
    assert [owner(machine, 32 + n) for n in (20, 21, 5, 987)] == ["a", None, None, "a"]
    assert machine.domain(1).config.spis == 988


def test_interrupts_of_another_controller_are_not_the_machines():
    machine = boot(partial(passed("button", 0x904_0000, path="/button@9040000")))
    assert machine.printed == [] and owner(machine, 32 + 9) is None


def test_a_device_without_a_path_when_it_is_forced():
    node = passed()
    del node.properties["xen,path"]
    machine = boot(partial(node))
    assert machine.printed == [] and owner(machine, CLOCK_INTERRUPT) is None


def test_devices_go_with_their_domain_and_come_back_with_it():
    """Built again, it has them again; while it is gone its interrupts are masked and nobody's."""
    machine = boot(partial(passed()))
    free = machine.heap.free_frames
    for _ in range(3):
        spi(machine, CLOCK_INTERRUPT).enabled = True
        spi(machine, CLOCK_INTERRUPT).active = True
        machine.enter(0)
        machine.call("hv.common.builder.lifecycle.shutdown_domain", machine.domain(1), 1)
        gone = False
        for _ in range(200):
            for cpu in range(2):
                machine.idle_step(cpu)
            machine.advance(1_000_000)
            gone = gone or owner(machine, CLOCK_INTERRUPT) is None
            if gone:
                assert not spi(machine, CLOCK_INTERRUPT).enabled and not spi(machine, CLOCK_INTERRUPT).active
        assert gone and machine.domain(1).state == UP
        assert owner(machine, CLOCK_INTERRUPT) == "a"
        machine.reclaim()
    assert abs(machine.heap.free_frames - free) <= 2


PATH = 'property "xen,path" of pl031@10010000 '
REG = 'property "xen,reg" of pl031@10010000 '


def bare(**properties):
    return Node("pl031@10010000", {key.replace("_", "-"): value for key, value in properties.items()})


MISTAKES = {
    f'property "reg" of device-tree@{PARTIAL:x} leads to no flattened device tree': b"\0" * 64,
    f'property "reg" of device-tree@{PARTIAL:x} has 65537 bytes: a partial tree has at most 65536': bytes(0x1_0001),
    f"the partial tree of device-tree@{PARTIAL:x} has no node /passthrough": flat(Node("", CELLS)),
    'property "phandle" of gic is missing': flat(Node("", CELLS, [Node("gic"), Node("passthrough", CELLS)])),
    REG + 'is missing beside "xen,path": write which registers the guest gets': partial(
        bare(**{"xen,path": strings(f"/pl031@{CLOCK:x}")})
    ),
    PATH + 'is missing beside "xen,reg": write the device\'s path in the machine': partial(
        bare(**{"xen,reg": u64(CLOCK) + u64(0x1000) + u64(0x1001_0000)})
    ),
    PATH + "is /nothing, which the machine's device tree does not have": partial(passed(path="/nothing")),
    PATH + "is no text": partial(passed(**{"xen,path": b"x"})),
    PATH + "has characters that cannot be printed": partial(passed(path="/pl031@9010000\nd2 ok")),
    PATH + f"is /pl031@{CLOCK:x}, which no IOMMU guards: "
    'write "xen,force-assign-without-iommu" if its guest is to be trusted': partial(passed(forced=False)),
    f'property "xen,path" of second is /pl031@{CLOCK:x}, which another node has already': partial(
        passed(), passed("second", 0x1_0000_0000, 0x1002_0000)
    ),
    REG + "is no list of address, size and guest's address, of the cells that its parent says": partial(
        passed(**{"xen,reg": u64(CLOCK) + u64(0x1000)})
    ),
    REG + "has 0x9010800, 0x1000, 0x10010000: a guest gets whole pages, multiples of 0x1000": partial(
        passed(start=CLOCK + 0x800)
    ),
    REG + "has a size of 0 at 0x9010000": partial(passed(size=0)),
    REG + "has 0x1000 bytes at 0xfffffffffffff000, beyond all that a machine has": partial(
        passed(start=2**64 - 0x1000)
    ),
    REG + "has 0x1000 bytes at the guest's 0x10000000000: its addresses end at 0x10000000000": partial(
        passed(to=1 << 40)
    ),
    REG + "has 0x40000000 to 0x40001000, where there is memory: name registers": partial(passed(start=RAM_BASE)),
    REG + "has 0x8000000 to 0x8001000, where the interrupt controller is, which the hypervisor uses": partial(
        passed(start=0x800_0000)
    ),
    REG + "has 0x9000000 to 0x9001000, where the console's UART is, which the hypervisor uses": partial(
        passed(start=UART)
    ),
    REG + "puts it at 0x3001000 to 0x3002000, where the guest has its interrupt controller: move it": partial(
        passed(to=0x300_1000)
    ),
    REG + "puts it at 0x40000000 to 0x40001000, where the guest has its memory: move it": partial(
        passed(to=0x4000_0000)
    ),
    'property "xen,reg" of eth puts it at 0x10010000 to 0x10011000, '
    "where the guest has another window: move it": partial(
        passed(), passed("eth", ETHERNET, path=f"/ethernet@{ETHERNET:x}")
    ),
    'property "xen,reg" of eth has 0x9010000 to 0x9011000, of which another window has a part already': partial(
        passed(), passed("eth", CLOCK, 0x1002_0000, path=f"/ethernet@{ETHERNET:x}")
    ),
    PATH + "leads to a device with an interrupt that is not shared between CPUs": partial(passed(path="/private@5000")),
    PATH
    + 'leads to bus@6000, whose "interrupt-map" cannot be read from cell 5 on: correct the machine\'s tree': partial(
        passed(path="/bus@6000")
    ),
    PATH
    + 'leads to dumb@7000, whose "interrupt-map" cannot be read from cell 0 on: correct the machine\'s tree': partial(
        passed(path="/dumb@7000")
    ),
    PATH + 'leads to lost@8000, whose "interrupts-extended" cannot be read from cell 4 on: '
    "correct the machine's tree": partial(passed(path="/lost@8000")),
    PATH + 'leads to short@9000, whose "interrupts-extended" cannot be read from cell 0 on: '
    "correct the machine's tree": partial(passed(path="/short@9000")),
    PATH + 'leads to other@a000, whose "interrupts-extended" has interrupts of gpio@9030000: a guest gets those '
    "of the machine's interrupt controller alone, so leave the device out": partial(passed(path="/other@a000")),
    'property "interrupts-extended" of pl031@10010000 has 35, '
    'which no device in the machine has that a "xen,path" here leads to': partial(
        passed(**{"interrupts-extended": u32(1) + u32(0) + u32(3) + u32(4)})
    ),
    'property "interrupts" of pl031@10010000 has 35, '
    'which no device in the machine has that a "xen,path" here leads to': partial(
        passed(interrupts=u32(0) + u32(3) + u32(4))
    ),
    'property "interrupts" of pl031@10010000 is no list of interrupts of 3 cells each': partial(
        passed(interrupts=u32(0) + u32(2))
    ),
    'property "clocks" of pl031@10010000 refers to phandle 0x63, which no node has that goes to the guest: '
    "put it below /passthrough, or leave the property out": partial(passed(clocks=u32(99))),
    'property "interrupt-parent" of pl031@10010000 refers to phandle 0x63, which no node has that goes to the guest: '
    "put it below /passthrough, or leave the property out": partial(passed(interrupt_parent=u32(99))),
}
EXTRA = [
    Node("private@5000", {"interrupts": u32(1) + u32(5) + u32(4)}),
    Node(
        "bus@6000",
        {
            "#address-cells": u32(0),
            "#interrupt-cells": u32(1),
            "interrupt-map": (u32(0) + u32(PLAIN_GIC) + u32(0) + u32(7) + u32(4)) + u32(1) + u32(99),
        },
    ),
    Node("dumb@7000", {"interrupt-map": u32(0) + u32(GIC)}),
    Node("lost@8000", {"interrupts-extended": entry(7) + u32(99) + u32(1)}),
    Node("short@9000", {"interrupts-extended": entry(7)[:-4]}),
    Node("other@a000", {"interrupts-extended": entry(7) + u32(GPIO) + u32(1) + u32(4)}),
    Node("plain", {"compatible": strings("arm,gic-400"), "#interrupt-cells": u32(3), "phandle": u32(PLAIN_GIC)}),
]


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_refuses_its_domain_in_one_line(said):
    machine = boot(MISTAKES[said], others=[domain_node("after", [module("kernel", KERNEL, KERNEL_SIZE)])], extra=EXTRA)
    assert machine.printed == [f"(hv) a: {said}: the domain is not built"]
    assert machine.domain(1) is None and machine.domain(2).state == UP


def test_a_device_has_one_owner():
    eth = passed("eth", CLOCK, 0x1002_0000, path=f"/ethernet@{ETHERNET:x}")
    machine = boot(partial(passed()), partial(passed()), partial(eth))
    assert machine.printed == [
        f"(hv) b: {PATH}is /pl031@{CLOCK:x}, which a has already: the domain is not built",
        '(hv) c: property "xen,reg" of eth has 0x9010000 to 0x9011000, of which a has a part already: '
        "the domain is not built",
    ]
    assert machine.domain(1).state == UP


def test_an_interrupt_has_one_owner():
    twin = Node("twin@7000", {"interrupts": u32(0) + u32(2) + u32(4)})
    machine = boot(partial(passed()), partial(passed("twin", 0x1_0000_0000, path="/twin@7000")), extra=[twin])
    assert machine.printed == [
        '(hv) b: property "xen,path" of twin leads to a device with interrupt 34, which a has already: '
        "the domain is not built"
    ]


def test_an_interrupt_that_the_hypervisor_uses():
    """Known when it is to be given away."""
    machine = Machine(2)
    machine.call("hv.sim.controller.use_arm64_devices")
    machine.host.variable("hv.arm64.interrupts.interrupts").lines[CLOCK_INTERRUPT].claimed = True
    machine.put(KERNEL, kernel_image(KERNEL_SIZE))
    blob = partial(passed())
    machine.put(PARTIAL, blob)
    printed = machine.boot(flat(board([domain("a", PARTIAL, len(blob))])))
    assert printed == ["(hv) a: interrupt 34 of its device is the hypervisor's: the domain is not built"]
    assert machine.domain(1) is None


def test_how_many_shared_interrupts_a_domain_has():
    """As many as its devices take; if it says itself how many, that has to be enough."""
    eth = partial(passed("eth", ETHERNET, 0x1002_0000, path="/far@8000"))
    far = [Node("far@8000", {"interrupts": u32(0) + u32(200) + u32(4)})]
    assert boot(eth, extra=far).domain(1).config.spis == 201
    assert boot(eth, extra=far, nr_spis=u32(300)).domain(1).config.spis == 300
    assert boot(eth, extra=far, nr_spis=u32(200)).printed == [
        '(hv) a: property "nr_spis" is 200: interrupt 232 of eth takes 201: the domain is not built'
    ]


def test_the_interrupt_of_the_domains_uart():
    first = [Node("first@8000", {"interrupts": u32(0) + u32(0) + u32(4)})]
    blob = partial(passed("x", ETHERNET, 0x1002_0000, path="/first@8000"))
    assert boot(blob, extra=first).printed == []
    assert boot(blob, extra=first, vpl011=b"").printed == [
        '(hv) a: property "xen,path" of x leads to a device with interrupt 32, as the domain\'s vpl011 has: '
        "leave that out: the domain is not built"
    ]


def test_devices_of_a_domain_that_passes_none_through():
    assert boot(partial(passed()), passthrough=strings("disabled")).printed == [
        f'(hv) a: property "passthrough" is disabled, and device-tree@{PARTIAL:x} gives the domain devices: '
        "the domain is not built"
    ]
    assert boot(partial(passed()), passthrough=strings("enabled")).printed == []


# Trees that nobody would write

NUMBERS = st.sampled_from([0, 1, 0x1000, CLOCK, UART, ETHERNET, RAM_BASE, 0x300_1000, 1 << 40, 2**64 - 0x1000])
VALUES = st.one_of(
    st.binary(max_size=40),
    st.lists(NUMBERS, max_size=7).map(lambda numbers: b"".join(map(u64, numbers))),
    st.lists(st.integers(0, 12), max_size=9).map(lambda numbers: b"".join(map(u32, numbers))),
    st.sampled_from(["/", "", "/chosen", f"/pl031@{CLOCK:x}", "/intc@8000000", "/memory", f"/pcie@{BUS:x}"]).map(
        strings
    ),
)
NAMES = st.sampled_from(
    [
        *(
            "xen,path",
            "xen,reg",
            "xen,force-assign-without-iommu",
            "interrupts",
            "interrupt-parent",
            "clocks",
            "phandle",
        ),
        *("#address-cells", "#size-cells", "#clock-cells", "interrupts-extended", "interrupt-map"),
    ]
)


@settings(max_examples=60)
@given(
    changes=st.lists(st.tuples(st.integers(0, 4), NAMES, st.one_of(st.none(), VALUES)), min_size=1, max_size=4),
    elsewhere=st.lists(st.tuples(st.integers(0, 5), NAMES, VALUES), max_size=2),
)
def test_odd_partial_trees_cost_at_most_their_domain(changes, elsewhere):
    """Changed in the partial tree, and in the machine's where its devices are."""
    inner = Node("phy", {"compatible": strings("phy"), "phandle": u32(9)})
    first = passed(interrupts=u32(0) + u32(2) + u32(4), clocks=u32(8), interrupt_parent=u32(1))
    clock = Node("clock", {"#clock-cells": u32(0), "phandle": u32(8)})
    second = passed("eth", ETHERNET, 0x1002_0000, path=f"/ethernet@{ETHERNET:x}")
    second.children.append(inner)
    places = [first, second, clock, inner, top := {}]
    for place, name, value in changes:
        target = places[place] if places[place] is top else places[place].properties
        if value is None:
            target.pop(name, None)
        else:
            target[name] = value
    blob = partial(first, clock, second, top=top)
    tree = board([domain("odd", PARTIAL, len(blob)), domain_node("after", [module("kernel", KERNEL, KERNEL_SIZE)])])
    machines_nodes = [node for node in tree.children if "@" in node.name and "memory" not in node.name]
    for place, name, value in elsewhere:
        machines_nodes[place].properties[name] = value
    machine = Machine(2)
    machine.call("hv.sim.controller.use_arm64_devices")
    machine.put(KERNEL, kernel_image(KERNEL_SIZE))
    machine.put(PARTIAL, blob)
    lines = machine.boot(flat(tree))
    assert machine.domain(2).state == UP
    assert len(lines) == (machine.domain(1) is None)
    assert all(line.startswith("(hv) odd: ") and line.endswith(": the domain is not built") for line in lines)


@settings(max_examples=60)
@given(data=st.data())
def test_any_bytes_in_a_partial_tree(data):
    blob = bytearray(partial(passed(interrupts=u32(0) + u32(2) + u32(4)), passed("eth", ETHERNET, 0x1002_0000)))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    machine = boot(bytes(blob), others=[domain_node("after", [module("kernel", KERNEL, KERNEL_SIZE)])])
    assert machine.domain(2).state == UP
    assert len(machine.printed) == (machine.domain(1) is None)
