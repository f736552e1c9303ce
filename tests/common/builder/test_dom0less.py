"""Domains from device trees: what is accepted, and that each mistake costs its domain alone, in one line."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.guests import (
    CPUS,
    MODULES,
    RAM_BASE,
    RAM_BYTES,
    TREE,
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
RAMDISK = MODULES + 0x1_0000
RAMDISK_SIZE = 0x3000
OTHER = MODULES + 0x2_0000  # nothing that is a kernel


def boot(*domains, cpus=CPUS, edit=None):
    machine = Machine(cpus)
    machine.put(KERNEL, kernel_image(KERNEL_SIZE))
    machine.put(OTHER, bytes(0x1000))
    tree = flat(machine_tree(domains, cpus))
    machine.printed = machine.boot(edit(tree) if edit else tree)
    return machine


def kernel(*spelling, **more):
    return module("kernel", KERNEL, KERNEL_SIZE, spelling or ("multiboot,module",), **more)


def ramdisk(*spelling, **more):
    return module("ramdisk", RAMDISK, RAMDISK_SIZE, spelling or ("multiboot,module",), **more)


def good(name="good", **more):
    return domain_node(name, [kernel()], **more)


@pytest.mark.parametrize("spelling", [(), ("multiboot,module",), ("xen,multiboot-module",)])
def test_every_spelling_of_modules(spelling):
    def node(kind, start, size):
        return Node(
            f"{kind}@{start:x}", {"compatible": strings(f"multiboot,{kind}", *spelling), "reg": u64(start) + u64(size)}
        )

    machine = boot(domain_node("a", [node("kernel", KERNEL, KERNEL_SIZE), node("ramdisk", RAMDISK, RAMDISK_SIZE)]))
    assert machine.printed == []
    assert machine.domain(1).state == UP
    description = machine.host.variable("hv.common.builder.description.descriptions").table[0]
    assert (description.kernel.start, description.kernel.bytes) == (KERNEL, KERNEL_SIZE)
    assert (description.ramdisk.start, description.ramdisk.bytes) == (RAMDISK, RAMDISK_SIZE)


def test_what_a_node_says_is_what_a_domain_gets():
    vcpus = [
        Node("vcpu1", {"compatible": strings("xen,vcpu"), "id": u32(1), "hard-affinity": strings("0-2,5")}),
        Node("vcpu0", {"compatible": strings("xen,vcpu"), "id": u32(0), "hard-affinity": strings("7")}),
        Node("vcpu2", {"compatible": strings("xen,vcpu"), "id": u32(2)}),
    ]
    machine = boot(
        domain_node("linux-1", [*vcpus, kernel(bootargs=strings("a=b quiet"))], 8192, 4, vpl011=b"", nr_spis=u32(100))
    )
    assert machine.printed == []
    domain = machine.domain(1)
    config = domain.config
    assert config.spis == 100
    assert (machine.host.library.text(config.name), config.frames, config.vcpus, config.uart) == (
        "linux-1",
        2048,
        4,
        True,
    )
    assert [vcpu.hard_affinity.words[0] for vcpu in machine.vcpus(domain)] == [0x80, 0x27, 0xFF, 0xFF]
    description = machine.host.variable("hv.common.builder.description.descriptions").table[0]
    assert machine.host.library.text(description.bootargs) == "a=b quiet"


@pytest.mark.parametrize("on_reboot", ["restart", "destroy", None])
@pytest.mark.parametrize("on_crash", ["restart", "destroy", None])
def test_what_follows_the_end_of_a_domain(on_reboot, on_crash):
    words = {"on-reboot": on_reboot, "on-crash": on_crash}
    node = good()
    node.properties.update({name: strings(word) for name, word in words.items() if word})
    machine = boot(node)
    description = machine.host.variable("hv.common.builder.description.descriptions").table[0]
    assert description.restarts_on_reboot == (on_reboot != "destroy")
    assert description.restarts_on_crash == (on_crash == "restart")


@pytest.mark.parametrize(("value", "ones"), [(None, False), (0, True), (1, False)])
def test_where_nothing_is(value, ones):
    node = good()
    if value is not None:
        node.properties["trap-unmapped-accesses"] = u32(value)
    machine = boot(node)
    assert machine.printed == []
    description = machine.host.variable("hv.common.builder.description.descriptions").table[0]
    assert description.reads_as_ones == ones


def test_one_cell_for_addresses_and_memory():
    kernel = Node("k", {"compatible": strings("multiboot,kernel"), "reg": u32(KERNEL) + u32(KERNEL_SIZE)})
    node = domain_node("small", [kernel])
    node.properties.update({"#address-cells": u32(1), "#size-cells": u32(1), "memory": u32(4096)})
    assert boot(node).printed == []


def test_numbers_count_the_refused_and_a_file_may_serve_several():
    machine = boot(
        good("a"), good("b", cpus=0), good("c"), Node("other", {"compatible": strings("nothing")}), good("d")
    )
    assert [machine.domain(i) is not None for i in range(1, 6)] == [True, False, True, True, False]
    assert machine.printed == ['(hv) b: property "cpus" is 0: a domain has 1 to 128: the domain is not built']


def test_nothing_to_build():
    assert boot().printed == []


def test_too_many_domains():
    machine = boot(*(good(f"d{i}", memory=1024) for i in range(18)))
    assert machine.printed == [f"(hv) d{i}: there is room for 16 domains: the domain is not built" for i in (16, 17)]
    assert machine.domain(16).state == UP


def without(name):
    node = good("bad")
    del node.properties[name]
    return node


def with_property(name, value):
    node = good("bad")
    node.properties[name] = value
    return node


def with_child(*children, **more):
    return domain_node("bad", list(children), **more)


def reg(start, size):
    return module("kernel", start, size)


def vcpu(name="v", **properties):
    return Node(name, {"compatible": strings("xen,vcpu"), **{k.replace("_", "-"): v for k, v in properties.items()}})


LINES_ARE_WRONG = 'property "constrictor,lines" has no rows of address, size and line, ascending, or no file'
MISTAKES = {
    'property "trap-unmapped-accesses" is 2, and neither 0 nor 1': with_property("trap-unmapped-accesses", u32(2)),
    'property "trap-unmapped-accesses" is not one number, of one cell': with_property("trap-unmapped-accesses", b""),
    'property "memory" is missing': without("memory"),
    'property "memory" is not one number, of one or two cells': with_property("memory", b"\0" * 12),
    'property "memory" is 0: it counts KiB': with_property("memory", u64(0)),
    'property "memory" is 4097 KiB: it has to be a multiple of 4': with_property("memory", u64(4097)),
    'property "memory" is 18446744073709551612 KiB: 1068498944 are the most': with_property("memory", u64(2**64 - 4)),
    'property "memory" is 1048576 KiB: the machine has 65536': with_property("memory", u64(1 << 20)),
    'property "memory" is 32 KiB, in which kernel, ramdisk and device tree have no room': with_property(
        "memory", u64(32)
    ),
    'property "cpus" is missing': without("cpus"),
    'property "cpus" is not one number, of one cell': with_property("cpus", u64(1)),
    'property "cpus" is 0: a domain has 1 to 128': with_property("cpus", u32(0)),
    'property "cpus" is 129: a domain has 1 to 128': with_property("cpus", u32(129)),
    LINES_ARE_WRONG: with_property("constrictor,lines", u64(0x1000) + u64(0x1000) + u32(3)),
    'property "on-watchdog" is neither "restart" nor "destroy"': with_property("on-watchdog", strings("bark")),
    'property "nr_spis" is 989: a domain has up to 988 shared interrupts': with_property("nr_spis", u32(989)),
    'property "nr_spis" is not one number, of one cell': with_property("nr_spis", u64(1)),
    'property "direct-map" asks for memory that "xen,static-mem" sets aside, which is missing': with_property(
        "direct-map", b""
    ),
    'property "passthrough" is neither "enabled" nor "disabled"': with_property("passthrough", strings("yes")),
    'property "on-crash" is neither "restart" nor "destroy"': with_property("on-crash", strings("again")),
    'property "on-reboot" is neither "restart" nor "destroy"': with_property("on-reboot", b""),
    'no node below is compatible with "multiboot,kernel"': with_child(ramdisk()),
    'property "compatible" of k2 says that it is the kernel, as another node does': with_child(
        kernel(), Node("k2", kernel().properties)
    ),
    'property "compatible" of r2 says that it is the ramdisk, as another node does': with_child(
        kernel(), ramdisk(), Node("r2", ramdisk().properties)
    ),
    'property "reg" of k is missing': with_child(Node("k", {"compatible": strings("multiboot,kernel")})),
    'property "reg" of k is no address and size, of the cells that the domain\'s node says': with_child(
        Node("k", {"compatible": strings("multiboot,kernel"), "reg": u64(KERNEL)})
    ),
    'property "reg" of kernel@42000000 has a size of 0': with_child(reg(0x4200_0000, 0)),
    'property "reg" of kernel@8000000 is 0x8000000 to 0x8008000, where there is no memory': with_child(
        reg(0x800_0000, KERNEL_SIZE)
    ),
    'property "reg" of kernel@43fff000 is 0x43fff000 to 0x44007000, where there is no memory': with_child(
        reg(RAM_BASE + RAM_BYTES - 0x1000, KERNEL_SIZE)
    ),
    'property "reg" of kernel@fffffffffffff000 is 0xfffffffffffff000 to 0x7000, where there is no memory': with_child(
        reg(0xFFFF_FFFF_FFFF_F000, KERNEL_SIZE)
    ),
    'property "reg" of kernel@40000000 is 0x40000000 to 0x40008000, which is in use or reserved': with_child(
        reg(RAM_BASE, KERNEL_SIZE)
    ),
    f'property "reg" of kernel@{TREE:x} is {TREE:#x} to {TREE + 64:#x}, which is in use or reserved': with_child(
        reg(TREE, 64)
    ),
    f'property "reg" of r is {KERNEL + 64:#x} to {KERNEL + 128:#x}, which overlaps a module of before, '
    f"{KERNEL:#x} to {KERNEL + KERNEL_SIZE:#x}": with_child(
        kernel(), Node("r", module("ramdisk", KERNEL + 64, 64).properties)
    ),
    'property "reg" of k leads to no arm64 Image; one that is compressed has to be unpacked': with_child(
        Node("k", reg(OTHER, 0x1000).properties)
    ),
    f'property "bootargs" of kernel@{KERNEL:x} is no text': with_child(kernel(bootargs=b"no end")),
    f'property "bootargs" of kernel@{KERNEL:x} is longer than 2047 bytes': with_child(
        kernel(bootargs=b"x" * 2048 + b"\0")
    ),
    'property "id" of v is missing': with_child(kernel(), vcpu()),
    'property "id" of v is 1: the domain\'s vCPUs are 0 to 0': with_child(kernel(), vcpu(id=u32(1))),
    'property "id" of w is 0, as another node\'s': with_child(
        kernel(), vcpu(id=u32(0), hard_affinity=strings("1")), vcpu("w", id=u32(0), hard_affinity=strings("2"))
    ),
    'property "hard-affinity" of v is no list of CPUs, such as "0-3,5"': with_child(
        kernel(), vcpu(id=u32(0), hard_affinity=strings("0-"))
    ),
    'property "hard-affinity" of v names CPU 8: there are 0 to 7': with_child(
        kernel(), vcpu(id=u32(0), hard_affinity=strings("3,8-9"))
    ),
    'property "compatible" of dt asks for what is not offered here': with_child(
        kernel(), Node("dt", {"compatible": strings("multiboot,device-tree", "multiboot,module")})
    ),
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_refuses_its_domain_in_one_line(said):
    machine = boot(good("before"), MISTAKES[said], good("after"))
    assert machine.printed == [f"(hv) bad: {said}: the domain is not built"]
    assert machine.domain(2) is None
    assert machine.domain(1).state == UP and machine.domain(3).state == UP


def test_nothing_of_a_refused_domain_is_left():
    bad = with_child(kernel(bootargs=strings("bad")), ramdisk(), vcpu(id=u32(0), hard_affinity=strings("3")), cpus=2)
    bad.children.append(vcpu("w", id=u32(5)))
    machine = boot(bad, good("after"))
    assert len(machine.printed) == 1
    description = machine.host.variable("hv.common.builder.description.descriptions").table[0]
    assert description.bootargs.length == 0 and description.ramdisk.bytes == 0
    assert machine.vcpus(machine.domain(2))[0].hard_affinity.words[0] == 0xFF


def test_the_memory_of_a_refused_domains_module_is_free():
    big = 0x100_0000
    bad = domain_node("bad", [module("ramdisk", MODULES + 0x10_0000, big)])
    assert boot(bad).heap.free_frames >= boot().heap.free_frames - 2


def test_modules_stay():
    machine = boot(domain_node("a", [kernel(), ramdisk()]))
    frames = machine.host.variable("hv.common.mm.frames.frames")
    for start, size in ((KERNEL, KERNEL_SIZE), (RAMDISK, RAMDISK_SIZE)):
        for frame in range(start >> 12, (start + size) >> 12):
            assert machine.call("hv.common.mm.frames.FrameTable.record", frames, frame).use == 0, "reserved"


def test_memory_that_is_not_there_any_more():
    machine = boot(good("a", memory=40 << 10), good("b", memory=40 << 10), good("c"))
    assert len(machine.printed) == 1
    assert machine.printed[0].startswith('(hv) b: property "memory" asks for 40960 KiB, and ')
    assert machine.domain(2) is None and machine.domain(3).state == UP


def test_cpus_that_do_not_run():
    """The machine has eight CPUs, two of which have come up."""
    affine = domain_node("a", [kernel(), vcpu(id=u32(0), hard_affinity=strings("4-7"))])
    machine = Machine(2)
    machine.put(KERNEL, kernel_image(KERNEL_SIZE))
    printed = machine.boot(flat(machine_tree([affine, good("b")])))
    assert printed == [
        '(hv) a: property "hard-affinity" of vCPU 0 names only CPUs that run no vCPUs: the domain is not built'
    ]
    assert machine.domain(1) is None and machine.domain(2).state == UP
    machine.reclaim()
    assert machine.host.variable("hv.common.model.domain.pool").used == 1


# Trees that nobody would write

VALUES = st.one_of(
    st.binary(max_size=24),
    st.integers(0, 2**32 - 1).map(u32),
    st.integers(0, 2**64 - 1).map(u64),
    st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)).map(lambda p: u64(p[0]) + u64(p[1])),
    st.tuples(st.integers(RAM_BASE, RAM_BASE + RAM_BYTES), st.integers(0, RAM_BYTES)).map(
        lambda p: u64(p[0]) + u64(p[1])
    ),
    st.text(max_size=12).map(lambda t: t.encode() + b"\0"),
    st.just(b""),
)
NAMES = st.sampled_from(
    [
        "memory",
        "cpus",
        "reg",
        "id",
        "hard-affinity",
        "compatible",
        "#address-cells",
        "#size-cells",
        "bootargs",
        "vpl011",
        "on-crash",
        "on-watchdog",
        "constrictor,file",
        "constrictor,lines",
        "constrictor,console-input",
        "xen,static-mem",
        "direct-map",
        "passthrough",
        "nr_spis",
        "trap-unmapped-accesses",
        "llc-colors",
    ]
)


def odd():
    return domain_node(
        "odd",
        [
            kernel(bootargs=strings("x")),
            ramdisk(),
            vcpu("v0", id=u32(0), hard_affinity=strings("0")),
            vcpu("v1", id=u32(1), hard_affinity=strings("1-3")),
        ],
        cpus=2,
        **{
            "constrictor,file": strings("odd.toml"),
            "constrictor,lines": u64(RAM_BASE) + u64(0x1000) + u32(3) + u64(RAM_BASE + 0x1000) + u64(1) + u32(4),
        },
    )


CHANGES = st.lists(st.tuples(st.integers(0, 4), NAMES, st.one_of(st.none(), VALUES)), min_size=1, max_size=4)


@settings(max_examples=150)
@given(changes=CHANGES)
def test_odd_properties_cost_at_most_their_domain(changes):
    cost_at_most_their_domain(changes)


@pytest.mark.long
@settings(max_examples=2500)
@given(changes=CHANGES)
def test_many_odd_properties_cost_at_most_their_domain(changes):
    cost_at_most_their_domain(changes)


def cost_at_most_their_domain(changes):
    node = odd()
    places = [node, *node.children]
    for place, name, value in changes:
        if value is None:
            places[place].properties.pop(name, None)
        else:
            places[place].properties[name] = value
    machine = boot(good("before"), node, good("after"))
    assert machine.domain(1).state == UP
    lines = machine.printed
    if "xen,domain" in node.properties.get("compatible", b"").decode(errors="replace").split("\0")[:-1]:
        assert machine.domain(3).state == UP
        assert len(lines) == (machine.domain(2) is None)
        assert all(line.startswith("(hv) odd: ") and line.endswith(": the domain is not built") for line in lines)
    else:
        assert lines == [] and machine.domain(2).state == UP


@settings(max_examples=150)
@given(data=st.data())
def test_any_bytes_in_the_structure(data):
    boots_to_the_end(data)


@pytest.mark.long
@settings(max_examples=2500)
@given(data=st.data())
def test_many_bytes_in_the_structure(data):
    boots_to_the_end(data)


def boots_to_the_end(data):
    """A tree that is still well-formed after some of its bytes have changed boots to the end."""
    machine = Machine(2)
    machine.put(KERNEL, kernel_image(KERNEL_SIZE))
    tree = bytearray(flat(machine_tree([good("a"), odd(), good("c")])))
    start, size = struct.unpack_from(">I", tree, 8)[0], struct.unpack_from(">I", tree, 36)[0]
    begin = tree.index(b"chosen", start)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(begin, start + size - 1))
        tree[at] = data.draw(st.integers(0, 255))
    view = machine.host.bytes(tree)
    if machine.host.errno("lib.fdt.Fdt.init", machine.host.library.new("hv.common.lib.fdt.Fdt"), view[0]):
        return
    for line in machine.boot(bytes(tree)):
        assert line.endswith(": the domain is not built")
