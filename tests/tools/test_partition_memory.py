"""Memory with places of its own: static memory, shared memory, the hypervisor's heap, and what may not overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.boards import board, cells, wide
from tools.partition import Compiled, PartitionError, load
from tools.partition.nodes import read_tree

MIB = 1 << 20
Compile = Callable[..., Compiled]


def domain(name: str, *keys: str, memory: str = 'memory = "64M"') -> str:
    return "\n".join(["[[domain]]", f'name = "{name}"', memory, "cpus = 1", 'kernel = "Image"', *keys, ""])


def shared(*keys: str) -> str:
    return "\n".join(["[[shared_memory]]", *keys, ""])


TWO = domain("a") + domain("b")
RING = ['name = "ring"', 'size = "1M"', "at = 0x40000000", 'owner = "a"', 'borrowers = ["b"]', "guest_at = 0x10000000"]


@pytest.fixture
def compiled(write: Callable[[str], Path], files: Path) -> Compile:
    def compile_text(text: str, **machine: object) -> Compiled:
        return load(write(text)).compile(board(**machine), files.joinpath)

    return compile_text


def test_static_memory(compiled: Compile) -> None:
    two = "static_memory = [{ at = 0x40000000, size = 32 }, { at = 0x50000000, size = 32 }]"
    one = "static_memory = [{ at = 0x60000000, size = 32 }]"
    result = compiled(domain("a", two, "direct_map = true") + domain("b", one, memory=""))
    tree = read_tree(result.dtb)
    a, b, chosen = (tree.find(f"/chosen{name}") for name in ("/a", "/b", ""))
    assert a.properties["xen,static-mem"] == wide(0x4000_0000, 32 * MIB, 0x5000_0000, 32 * MIB)
    assert a.properties["direct-map"] == b""
    assert b.properties["xen,static-mem"] == wide(0x6000_0000, 32 * MIB)
    assert (b.properties["memory"], "direct-map" in b.properties) == (wide(32 << 10), False)
    assert (chosen.cell("#address-cells"), chosen.cell("#size-cells")) == (2, 2)
    assert [(each.start, each.host) for each in result.given["a"] if each.what == "memory"] == [
        (0x4000_0000, 0x4000_0000),
        (0x5000_0000, 0x5000_0000),
    ]
    assert [(each.start, each.host) for each in result.given["b"] if each.what == "memory"] == [
        (0x4000_0000, 0x6000_0000)
    ]


def test_shared_memory_in_both_domains(compiled: Compile) -> None:
    other = shared(
        'name = "mail"', 'size = "4K"', 'borrowers = ["a", "b"]', "guest_at = { a = 0x11000000, b = 0x12000000 }"
    )
    tree = read_tree(compiled(TWO + shared(*RING) + other).dtb)
    owner, borrower = (tree.find(f"/chosen/{name}/shared-memory@10000000") for name in "ab")
    assert owner.strings("compatible") == ["xen,domain-shared-memory-v1"]
    assert owner.properties["xen,shared-mem"] == wide(0x4000_0000, 0x1000_0000, MIB)
    assert [node.string("role") for node in (owner, borrower)] == ["owner", "borrower"]
    assert owner.string("xen,shm-id") == borrower.string("xen,shm-id") == "ring"
    mail = tree.find("/chosen/b/shared-memory@12000000")
    assert mail.properties["xen,shared-mem"] == wide(0x1200_0000, 0x1000), "the hypervisor chooses where"
    assert mail.string("role") == "borrower"


def test_static_heap_and_console(compiled: Compile) -> None:
    text = '[hypervisor]\nstatic_heap = [{ at = 0x70000000, size = "64K" }]\nconsole_input = "b"\n'
    tree = read_tree(compiled(text + TWO).dtb)
    assert tree.find("/chosen").properties["xen,static-heap"] == wide(0x7000_0000, 0x1_0000)
    assert ["constrictor,console-input" in tree.find(f"/chosen/{name}").properties for name in "ab"] == [False, True]


def test_files_keep_clear_of_memory_with_a_place(compiled: Compile) -> None:
    result = compiled(domain("a", 'static_memory = [{ at = 0x10200000, size = "64M" }]', 'ramdisk = "initrd2"'))
    assert [load.address for load in result.loads] == [0x1000_0000, 0x1420_0000]


DIRECT = 'static_memory = [{ at = 0x20000000, size = "64M" }]', "direct_map = true"


def test_a_domain_that_is_mapped_directly_has_the_machines_uart(compiled: Compile) -> None:
    """Its memory may cover the usual place, where the other domain has it."""
    result = compiled(domain("a", *DIRECT) + domain("b"))
    places = {name: [each.start for each in given if each.what == "UART"] for name, given in result.given.items()}
    assert places == {"a": [0xFF00_0000], "b": [0x2200_0000]}
    assert [each.start for each in result.given["a"] if each.what == "memory"] == [0x2000_0000]


def test_no_place_is_made_up_without_the_machines_tree(write: Callable[[str], Path]) -> None:
    given = load(write(domain("a", *DIRECT) + domain("b"))).sketch().given
    assert {name: [each.what for each in given[name]] for name in given} == {"a": ["memory"], "b": ["UART", "memory"]}


def device(at: int, path: str = "/soc/ticker@f0000") -> str:
    return f'[[domain.devices]]\npath = "{path}"\nat = {at:#x}\n'


CONTROLLER = {  # first bytes that are not the guest's behind each of its parts
    False: {0xF901_0000: 0xF901_1000, 0xF902_0000: 0xF902_2000},
    True: {0xF901_0000: 0xF902_0000, 0xF906_0000: 0xF908_0000},
}


@pytest.mark.parametrize("gicv3", [False, True])
def test_devices_keep_clear_of_the_machines_controller_and_uart(compiled: Compile, gicv3: bool) -> None:
    text = domain("a", *DIRECT)
    for start, end in CONTROLLER[gicv3].items():
        for taken in (start, end - 0x1000):
            with pytest.raises(PartitionError) as caught:
                compiled(text + device(taken), gicv3=gicv3)
            (mistake,) = caught.value.mistakes
            assert f"at {taken:#x} of its guest overlaps its interrupt controller ({start:#x}-{end:#x})" in mistake.what
        compiled(text + device(end), gicv3=gicv3)
    with pytest.raises(PartitionError, match=r"overlaps its UART \(0xff000000-0xff001000\)"):
        compiled(text + device(0xFF00_0000), gicv3=gicv3)
    for usual in (0x0300_1000, 0x1200_0000):
        compiled(text + device(usual), gicv3=gicv3)


def test_a_guest_has_as_many_cpus_as_the_machine_has_room_for_redistributors(compiled: Compile) -> None:
    four, five = (domain("a", *DIRECT).replace("cpus = 1", f"cpus = {count}") for count in (4, 5))
    compiled(four, gicv3=True)
    with pytest.raises(PartitionError) as caught:
        compiled(five, gicv3=True)
    (mistake,) = caught.value.mistakes
    assert mistake.what == "cpus: where the machine has its redistributors there is room for 4"
    compiled(five)
    compiled(domain("a").replace("cpus = 1", "cpus = 5"), gicv3=True)


def test_where_the_console_shares_its_page_the_uart_is_at_the_usual_place(compiled: Compile) -> None:
    """Which memory then leaves free."""
    text = domain("a", 'static_memory = [{ at = 0x24000000, size = "64M" }]', "direct_map = true")
    given = compiled(text, console=0x40).given["a"]
    assert [each.start for each in given if each.what == "UART"] == [0x2200_0000]
    with pytest.raises(PartitionError) as caught:
        compiled(domain("a", *DIRECT), console=0x40)
    (mistake,) = caught.value.mistakes
    assert mistake.what == (
        "static_memory: mapped directly, 0x20000000-0x24000000 overlaps its UART (0x22000000-0x22001000)"
    )
    assert mistake.line == 6
    compiled(domain("a", *DIRECT, "vpl011 = false"), console=0x40)


MISTAKES = [
    (domain("a", "direct_map = true"), "direct_map: only static memory has such a place; write static_memory ="),
    (
        domain("a", 'static_memory = [{ at = 0x40000000, size = "32M" }]'),
        'memory: 64M, and static_memory adds up to 32M; write "32M", or leave memory out',
    ),
    (
        domain("a", 'static_memory = [{ at = 0x40000000, size = "64M" }]', 'llc_colors = "0"'),
        "llc_colors: static memory has the colours of its addresses",
    ),
    (domain("a", "static_memory = 5"), "static_memory: 5 is no list of tables"),
    (domain("a", "static_memory = [5]"), '5 is not a table; write { at = 0x60000000, size = "256M" }'),
    (domain("a", "static_memory = [{ at = 0x40000000 }]"), 'static_memory: this range has no key "size"'),
    (
        domain("a", 'static_memory = [{ at = 0x40001000, size = "64M" }]'),
        "at: 0x40001000 is not a physical address on a boundary of 2M; write 0x40000000",
    ),
    (
        domain("a", 'static_memory = [{ at = 0x40000000, size = "1K" }]', memory=""),
        'size: "1K" is not a positive multiple of 2M; write "2M"',
    ),
    (
        domain("a", 'static_memory = [{ at = 0x7f000000, size = "64M" }]'),
        "0x7f000000-0x83000000 for the memory of domain \"a\" is not in the machine's memory; write a place in 0x0-",
    ),
    (
        domain("a", 'static_memory = [{ at = 0, size = "64M" }]'),
        'for the memory of domain "a" is where the hypervisor\'s image lies (0x0-0x1000000)',
    ),
    (
        domain("a", 'static_memory = [{ at = 0x40000000, size = "64M" }]')
        + domain("b", 'static_memory = [{ at = 0x42000000, size = "64M" }]'),
        'for the memory of domain "b" overlaps 0x40000000-0x44000000 for the memory of domain "a" (line 6); '
        "write 0x44000000",
    ),
    (
        '[hypervisor]\nstatic_heap = [{ at = 0x40000000, size = "64K" }]\n' + TWO + shared(*RING),
        'for the shared memory "ring" overlaps 0x40000000-0x40010000 for the hypervisor\'s heap (line 2)',
    ),
    ('[hypervisor]\nstatic_heap = [{ at = 0x40001000, size = "64K" }]\n' + TWO, "on a boundary of 64K"),
    ('[hypervisor]\nconsole_input = "c"\n' + TWO, 'console_input: the file describes no domain "c"'),
    (
        '[hypervisor]\nconsole_input = "a"\n' + domain("a", "vpl011 = false"),
        'console_input: domain "a" has no UART; name one with vpl011 = true',
    ),
    (TWO + shared(*RING[1:]), 'this shared memory has no key "name"; write name = "ring"'),
    (TWO + shared(*RING[:5]), 'this shared memory has no key "guest_at"'),
    (TWO + shared(*RING[:4], RING[5]), '"ring" is shared by one domain alone; write borrowers = '),
    (TWO + shared(*RING[:4], 'borrowers = ["b", "a"]', RING[5]), "borrowers: the owner needs not borrow"),
    (TWO + shared(*RING[:4], 'borrowers = ["c"]', RING[5]), 'borrowers: the file describes no domain "c"'),
    (TWO + shared(*RING[:3], 'owner = "x"', *RING[4:]), 'owner: the file describes no domain "x"'),
    (TWO + shared(*RING[:5], "guest_at = { a = 0x10000000 }"), 'guest_at: it has no address for domain "b"'),
    (
        TWO + shared(*RING[:5], "guest_at = { a = 0x10000000, b = 0x10000000, c = 0 }"),
        'guest_at: domain "c" does not share it',
    ),
    (TWO + shared('name = "with space"', *RING[1:]), 'name: "with space" is no name of shared memory'),
    (TWO + shared(*RING[:1], "size = 0", *RING[2:]), 'size: 0 is not a positive multiple of 4K; write "4K"'),
    (TWO + shared(*RING[:5], "guest_at = 0x10000001"), "guest_at: 0x10000001 is not a physical address on a boundary"),
    (
        TWO + shared(*RING[:5], "guest_at = { a = 0x43f80000, b = 0x10000000 }"),
        'guest_at: 0x43f80000 of domain "a" overlaps its memory (0x40000000-0x44000000); write 0x8000000',
    ),
    (
        TWO + shared(*RING) + shared('name = "ring2"', RING[1], "at = 0x48000000", *RING[3:]),
        'guest_at: 0x10000000 of domain "a" overlaps the shared memory "ring"',
    ),
    (TWO + shared(*RING) + shared(*RING[:2], *RING[3:5], "guest_at = 0x18000000"), 'already described in line 12'),
    (
        domain("a", 'static_memory = [{ at = 0x50000000, size = "64M" }]', "direct_map = true")
        + domain("b") + shared(*RING),
        'guest_at: domain "a" is mapped directly, and it is at 0x40000000; write at = 0x10000000',
    ),
    (TWO + 'shared_memory = 5\n', 'unknown key "shared_memory"'),
    ("shared_memory = 5\n" + TWO, "shared_memory: 5 is no list of tables; write [[shared_memory]] before each"),
    (
        TWO.replace('"64M"', '"1G"') + shared(*RING),
        'with the shared memory "ring" the domains have 2049M, the machine has 2G',
    ),
    ('[board]\nllc_colors = 3\n' + TWO, "llc_colors: 3 is no number of colours; write a power of two"),
    ('[board]\nname = "x"\n' + TWO, 'unknown key "name"; known here: tree, hypervisor, llc_colors'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_memory_that_cannot_be_given(compiled: Compile, text: str, message: str) -> None:
    with pytest.raises(PartitionError) as caught:
        compiled(text)
    assert any(message in f"{each.what}; {each.instead}" for each in caught.value.mistakes), caught.value
    assert all(1 <= each.line <= text.count("\n") for each in caught.value.mistakes)


def test_the_file_may_say_how_many_colours_there_are(compiled: Compile) -> None:
    """Otherwise the tree's caches do. The hypervisor is told where a domain has colours."""
    text = domain("a", 'llc_colors = "15"')
    compiled(text)
    with pytest.raises(PartitionError, match='no colour 15; use its colours "0-7"'):
        compiled("[board]\nllc_colors = 8\n" + text)
    for table, told in (("", 16), ("[board]\nllc_colors = 32\n", 32)):
        chosen = read_tree(compiled(table + text).dtb).find("/chosen")
        assert chosen is not None and chosen.properties["constrictor,llc-colors"] == cells(told)
    chosen = read_tree(compiled("[board]\nllc_colors = 32\n" + domain("a")).dtb).find("/chosen")
    assert chosen is not None and "constrictor,llc-colors" not in chosen.properties


def test_static_heap_has_the_cells_of_the_root() -> None:
    """Xen's binding, unlike that of static memory."""
    assert read_tree(board()).root.properties["#address-cells"] == cells(2)


@pytest.mark.parametrize(
    "key", ["static_memory = []", 'llc_colors = "0"', "nr_spis = 3", "trap_unmapped_accesses = true"]
)
def test_a_pc_knows_nothing_of_these(write: Callable[[str], Path], tmp_path: Path, key: str) -> None:
    (tmp_path / "Image").write_bytes(b"x")
    with pytest.raises(PartitionError, match="is for Arm's machines alone"):
        load(write(domain("a", key))).compile_modules(tmp_path.joinpath)


def test_a_pc_is_not_told_of_what_the_file_leaves_out(write: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(b"x")
    with pytest.raises(PartitionError) as caught:
        load(write(domain("a", "vpl011 = false"))).compile_modules(tmp_path.joinpath)
    assert ["kernel" in each.what for each in caught.value.mistakes] == [True], caught.value
