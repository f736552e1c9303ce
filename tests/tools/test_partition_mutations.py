"""Partition files that went wrong somewhere: each compiles, or is explained at a line that it has."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tools.boards import board
from tools.partition import PartitionError, load
from tools.partition.nodes import read_tree
from tools.partition.show import as_svg, as_text, draw_map

WHOLE = """
[board]
llc_colors = 16

[hypervisor]
command_line = "loglvl=all"
static_heap = [{ at = 0x7000_0000, size = "64M" }]
console_input = "b"

[layout]
load_base = 0x10000000

[[domain]]
name = "a"
cpus = 2
kernel = "Image"
ramdisk = "initrd"
affinity = ["0-1", "3"]
static_memory = [
    { at = 0x4000_0000, size = "32M" },
    { at = 0x5000_0000, size = 32 },
]
direct_map = true
nr_spis = 128
[[domain.devices]]
path = "ethernet0"
at = 0x8000_0000
clock_frequency = 125_000_000
interrupts = [95, 96]
[[domain.devices]]
path = "/pcie@4010000000"
at = ["same", "none", "free"]

[[domain]]
name = "b"
memory = "256M"
cpus = 1
kernel = "unikernel"
bootargs = "console=ttyAMA0"
affinity = "2"
llc_colors = "0-7"
trap_unmapped_accesses = false
on_crash = "restart"
devices = [
    "/soc/off@e0000",
    { path = "/soc/gpio@40000", force_assign_without_iommu = true },
    { path = "/soc/card@50000", force_assign_without_iommu = true, drop = ["resets"] },
]

[[shared_memory]]
name = "ring"
size = "1M"
at = 0x6000_0000
owner = "a"
borrowers = ["b"]
guest_at = { a = 0x6000_0000, b = 0x1000_0000 }
"""
LINES = WHOLE.split("\n")
ODD = [
    *("0", "-1", "1", "7", "4096", "0x8000_0000", "0xffff_ffff_ffff_ffff", "1" + "0" * 300, "1e99", "nan", "-inf"),
    *("true", "false", '""', '"a"', '"b"', '"same"', '"none"', '"free"', '"1M"', '"0-3"', '"4-1"', '"/"', '"/soc"'),
    *('"ethernet0"', '"/soc/mac@10000"', '"/soc/card@50000"', '"Image"', '"missing"', "'\\u0000'", '"\\u0000"'),
    *("[]", "[[]]", "{}", "[{}]", "[1, 2]", '["a"]', '["a", "a"]', "{ a = 1 }", '{ at = 1, size = "2M" }'),
    *(
        '[{ at = 0x40000000, size = "32M" }]',
        "1979-05-27",
        "07:32:00",
        '"""\n"""',
        '"' + "x" * 3000 + '"',
        "",
        "=",
        '"',
    ),
]
ODD_LINES = [
    *("[[domain]]", "[domain]", "[[domain.devices]]", "[domain.devices]", "[[shared_memory]]", "[hypervisor]"),
    *("[a.b.c]", "]", "[", "}", "\ud7ff", "name", "at = at", 'name = "a"', "static_memory = []", "\t \r"),
]
LETTERS = "x=[]{}\"'\n10-,#._ab\t\0"

change = st.one_of(
    st.tuples(st.just("value"), st.integers(0, len(LINES) - 1), st.sampled_from(ODD)),
    st.tuples(st.just("line"), st.integers(0, len(LINES) - 1), st.sampled_from(ODD_LINES)),
    st.tuples(st.just("drop"), st.integers(0, len(LINES) - 1), st.just("")),
    st.tuples(st.just("move"), st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1)),
    st.tuples(st.just("twice"), st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1)),
    st.tuples(st.just("letters"), st.integers(0, len(WHOLE) - 1), st.text(LETTERS, max_size=3)),
)


def changed(changes: list[tuple[str, int, str | int]]) -> str:
    lines = list(LINES)
    for kind, at, what in changes:
        match kind:
            case "value" if "=" in lines[at]:
                lines[at] = f"{lines[at].split('=')[0]}= {what}"
            case "value" | "line":
                lines[at] = str(what)
            case "drop":
                lines[at] = ""
            case "move":
                lines[at], lines[int(what)] = lines[int(what)], lines[at]
            case "twice":
                lines[at] = f"{lines[at]}\n{lines[int(what)]}"
            case "letters":
                text = "\n".join(lines)
                lines = (text[: at % len(text)] + str(what) + text[at % len(text) + 1 :]).split("\n")
                lines += [""] * (len(LINES) - len(lines))
    return "\n".join(lines)


def outcome(text: str, files: Path, base: bytes) -> PartitionError | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "machine.toml"
        path.write_bytes(text.encode())
        try:
            partition = load(path)
            compiled = partition.compile(base, files.joinpath)
        except PartitionError as error:
            return error
    tree = read_tree(compiled.dtb)
    assert {domain.name for domain in partition.domains} <= {node.name for node in tree.find("/chosen").children}
    drawn = draw_map(partition, partition.plan(base), compiled.loads)
    assert as_svg(drawn).startswith("<svg ") and as_text(drawn)
    return None


def test_the_file_is_right_unchanged(files: Path) -> None:
    assert outcome(WHOLE, files, board()) is None


BASE = board()


@settings(max_examples=500)
@given(changes=st.lists(change, min_size=1, max_size=3))
@example([("value", LINES.index('borrowers = ["b"]'), "[[]]")])
@example([("value", LINES.index("guest_at = { a = 0x6000_0000, b = 0x1000_0000 }"), "{ a = 1 }")])
def test_a_changed_file_compiles_or_is_explained(files: Path, changes: list[tuple[str, int, str | int]]) -> None:
    text = changed(changes)
    error = outcome(text, files, BASE)
    if error is None:
        return
    assert error.mistakes
    assert all(1 <= mistake.line <= text.count("\n") + 2 for mistake in error.mistakes), error
    assert all(mistake.what and mistake.instead for mistake in error.mistakes)
    assert len(str(error).splitlines()) == len(error.mistakes), "one line each"
