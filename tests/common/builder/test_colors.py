"""Domains whose memory has colours of the last cache: each frame's colour, their lives, and what is refused."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.builder.test_lifecycle import check_memory, work_off
from tests.common.builder.test_static_memory import PLACE, chosen, end, free_frames, ranges, states
from tests.common.guests import (
    CRASH,
    MEMORY,
    MODULES,
    POWER_OFF,
    RAM_BASE,
    RAM_BYTES,
    REBOOT,
    UP,
    Machine,
    domain_node,
    flat,
    kernel_image,
    machine_tree,
    module,
    pattern,
    strings,
    u32,
)

BANK = 0x4000_0000 >> 12
KERNEL = kernel_image(0x2_8123, image_size=0x5_0000, seed=3)
RAMDISK = pattern(0x1_2345, 9)
RAMDISK_AT = MODULES + 0x30_0000
MIB = 1 << 20
OWNED = 3


def domain(name, mib, colors=None, **more):
    listed = {} if colors is None else {"llc-colors": strings(colors)}
    modules = [module("kernel", MODULES, len(KERNEL)), module("ramdisk", RAMDISK_AT, len(RAMDISK))]
    return domain_node(name, modules, mib * 1024, **listed, **more)


def boot(*domains, count=u32(16), line="", cpus=2):
    machine = Machine(cpus)
    machine.put(MODULES + 0x40_0000, b"\xa5" * (RAM_BYTES - (MODULES - RAM_BASE) - 0x40_0000))
    machine.put(MODULES, KERNEL)
    machine.put(RAMDISK_AT, RAMDISK)
    tree = machine_tree(domains, cpus)
    if count is not None:
        chosen(tree).properties["constrictor,llc-colors"] = count
    machine.call("hv.common.kernel.cmdline.read_command_line", line)
    machine.printed = machine.boot(flat(tree))
    return machine


def frames_of(machine, number, mib):
    """Those of a domain's memory, each mapped by a leaf of its own when `single`."""
    p2m = machine.p2m(machine.domain(number))
    found = [machine.call(f"{MEMORY}p2m.P2m.lookup", p2m, BANK + i) for i in range(mib * 256)]
    assert {frame.kind for frame in found} == {1}
    return found


def spelled(colors):
    return ",".join(str(color) for color in sorted(colors))


def numbers_of(part):
    """The numbers of 3 or 3-6."""
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


def told(lines, number):
    """What the key `m` says of a coloured domain: its frames of its colours, the colours, its frames of others."""
    at = next(i for i, line in enumerate(lines) if line.startswith(f"(hv)   d{number} "))
    found = re.fullmatch(r"\(hv\)     (\d+) of colours ([\d,-]+), (\d+) of others", lines[at + 1])
    return int(found[1]), found[2], int(found[3])


@settings(max_examples=5)
@given(
    st.sets(st.integers(0, 15), min_size=3),
    st.sets(st.integers(0, 15), min_size=3),
    st.sampled_from([16, 32, 8]),
)
def test_every_frame_has_one_of_its_domains_colors(first, second, count):
    """And as many of each as can be; all is cleared but for the modules; nobody has another's."""
    first, second = ({color % count for color in colors} for colors in (first, second))
    machine = boot(domain("a", 3, spelled(first)), domain("b", 4), domain("c", 2, spelled(second)), count=u32(count))
    assert machine.printed == [f"(hv) the last cache has {count} colours"]
    owned = set()
    for number, mib, colors in ((1, 3, first), (2, 4, None), (3, 2, second)):
        assert machine.domain(number).state == UP
        found = frames_of(machine, number, mib)
        check_memory(machine, machine.domain(number), mib, KERNEL)
        mfns = [frame.mfn for frame in found]
        assert len(owned & set(mfns)) == 0 and len(set(mfns)) == len(mfns)
        owned.update(mfns)
        if colors is None:
            assert any(frame.order != 0 for frame in found)
        else:
            assert {frame.order for frame in found} == {0}
            shares = [sum(mfn % count == color for mfn in mfns) for color in range(count)]
            assert {color for color, share in enumerate(shares) if share} == colors
            assert max(shares) - min(shares[color] for color in colors) <= 1
            assert set(states(machine, mfns)) == {(OWNED, number, 1)}
            of_them, listed, others = told(machine.press("m"), number)
            assert of_them >= mib * 256 and others <= 4, "the hypervisor's pages that it shares have any colour"
            assert {c for part in listed.split(",") for c in numbers_of(part)} == colors
    assert not owned & free_frames(machine)
    assert not machine.walkers.violation()


@settings(max_examples=4)
@given(st.lists(st.sampled_from([REBOOT, REBOOT, CRASH]), min_size=1, max_size=3))
def test_lives_leave_the_heap_as_it_was(ends):
    """A domain that is built anew has its colours again, cleared; one that has gone leaves nothing."""
    machine = boot(domain("a", 8, "0-3", **{"on-crash": strings("restart")}), domain("b", 4, "4-7"))
    free = machine.heap.free_frames
    for reason in ends:
        for frame in frames_of(machine, 1, 8)[::100]:
            machine.put(frame.mfn << 12, b"written by the guest")
        machine.settle_all()
        machine.advance(2_000_000_000)
        end(machine, 1, reason)
        assert machine.domain(1).state == UP
        assert {frame.mfn % 16 for frame in frames_of(machine, 1, 8)} == {0, 1, 2, 3}
        check_memory(machine, machine.domain(1), 8, KERNEL)
        assert free - 1 <= machine.heap.free_frames <= free, "a slab of the vCPUs' pool may be one more"
    end(machine, 1, POWER_OFF)
    assert machine.domain(1) is None and machine.heap.free_frames >= free + 8 * 256
    assert {frame.mfn % 16 for frame in frames_of(machine, 2, 4)} == {4, 5, 6, 7}
    assert not machine.walkers.violation()


def test_memory_of_the_colors_runs_out():
    """The machine has less than 4 MiB of each colour. The domain is refused, gives back all, and the next one that
    fits is built."""
    machine = boot(domain("a", 6, "3"), domain("b", 6, "3,8"), domain("c", 8, "3"))
    assert len(machine.printed) == 3
    for line, name, kib in zip(machine.printed[1:], "ac", (6144, 8192), strict=True):
        found = re.fullmatch(
            rf'\(hv\) {name}: property "memory" asks for {kib} KiB of its colours, and (\d+) KiB could be given: '
            r"the domain is not built",
            line,
        )
        assert found and 0 <= int(found[1]) < 4096
    assert [machine.domain(number) is not None for number in (1, 2, 3)] == [False, True, False]
    machine.reclaim()
    assert {frame.mfn % 16 for frame in frames_of(machine, 2, 6)} == {3, 8}
    everything = states(machine, range(RAM_BASE >> 12, (RAM_BASE + RAM_BYTES) >> 12))
    assert {owner for use, owner, _ in everything if use == OWNED} == {2}


def test_no_step_of_a_colored_domain_is_one_of_single_frames():
    """Neither building nor taking apart needs a step for each frame: a reset takes less than a twentieth."""
    machine = boot(domain("a", 8, "0-7"))
    machine.settle_all()
    machine.enter(1)
    machine.call("hv.common.builder.lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    steps = 0
    while machine.domain(1) is None or machine.domain(1).state != UP:
        machine.settle_all(1)
        machine.idle_step(1)
        machine.advance(1_000_000)
        steps += 1
    assert steps < 8 * 256 // 10
    work_off(machine, 1)


def test_what_a_guest_gives_back_it_gets_again_in_its_colors():
    machine = boot(domain("a", 4, "2,5"))
    owner = machine.domain(1)
    memory = machine.ffi.addressof(owner, "common_model_memory_DomainMemory")
    for i in range(40):
        assert machine.call("hv.common.model.memory.DomainMemory.remove", memory, BANK + 500 + i, 1) == 1
    machine.call("hv.common.model.memory.DomainMemory.populate", memory, owner, BANK + 500, 40)
    found = frames_of(machine, 1, 4)
    assert {frame.mfn % 16 for frame in found} == {2, 5}
    assert {frame.order for frame in found[500:540]} == {0}


STATIC = {"xen,static-mem": ranges((PLACE, 4 * MIB))}
MISTAKES = [
    ("16", {}, "names colour 16: the last cache has 0 to 15"),
    ("3,0-127", {}, "names colour 16: the last cache has 0 to 15"),
    ("", {}, 'is no list of colours, such as "0-3,8"'),
    ("3-", {}, 'is no list of colours, such as "0-3,8"'),
    ("0-128", {}, 'is no list of colours, such as "0-3,8"'),
    ("red", {}, 'is no list of colours, such as "0-3,8"'),
    ("0", {"more": STATIC}, 'asks for colours, and memory of "xen,static-mem" has those of its addresses'),
    ("0", {"line": "llc-coloring=off"}, "asks for colours, which llc-coloring=off on the command line forbids"),
    (
        "0",
        {"count": None},
        "asks for colours of the last cache, and how many it has is not known: "
        "write llc-size= and llc-nr-ways= on the command line",
    ),
    ("0", {"count": u32(1)}, "asks for colours of the last cache, and how many it has is not known: "),
]


@pytest.mark.parametrize(("colors", "more", "what"), MISTAKES)
def test_a_mistake_refuses_its_domain_alone(colors, more, what):
    options = {key: value for key, value in more.items() if key != "more"}
    machine = boot(domain("odd", 4, colors, **more.get("more", {})), domain("good", 4), **options)
    assert len(machine.printed) == 1
    assert machine.printed[0].startswith(f'(hv) odd: property "llc-colors" {what}')
    assert machine.printed[0].endswith(": the domain is not built")
    assert machine.domain(1) is None and machine.domain(2).state == UP
    assert machine.host.variable(f"{MEMORY}coloring.coloring").bits == 0


@pytest.mark.parametrize("count", [u32(12), u32(0), b"", b"\0\0"])
def test_a_wrong_number_of_colors_does_not_count(count):
    machine = boot(domain("a", 4, "0-7"), count=count, line="llc-size=64K llc-nr-ways=1")
    assert machine.printed == [
        '(hv) chosen: property "constrictor,llc-colors" is no power of two: it does not count',
        "(hv) the last cache has 16 colours",
    ]
    assert {frame.mfn % 16 for frame in frames_of(machine, 1, 4)} == set(range(8))
