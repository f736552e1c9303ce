"""The table of source lines: what the encoder writes the decoder finds, and a damaged table does no harm."""

import bisect
import subprocess
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compiler import lines
from compiler.driver import CLANG
from compiler.lines import Row
from tests.common.host import KERNEL, host

FILES = st.sampled_from(["hv/arm64/main.py", "hv/common/lib/fdt.py", "boot/arm64/entry.S", "hv/é.py"])
BASE = 0x80_0000_0000


@st.composite
def tables(draw):
    """Rows as a line program gives them, and the unit of their addresses."""
    unit = draw(st.sampled_from([1, 4]))
    step = st.integers(0, 40) | st.integers(0, 2**20)
    rows, address = [], 0
    for more in draw(st.lists(step, max_size=30)):
        address += more * unit
        file = draw(FILES | st.none())
        rows.append(
            Row(BASE + address, file, 0 if file is None else draw(st.integers(1, 2000) | st.integers(1, 2**31)))
        )
    return rows, unit


def look_up(table, offset):
    view = host().bytes(table)
    place = host().library.call(f"{KERNEL}symbols.look_up", view[0], offset)
    return (bytes(host().ffi.buffer(place.file.data, place.file.length)).decode(errors="replace"), place.line)


@given(tables(), st.data())
@example(([], 4), None)
@example(([Row(BASE, "a", 1), Row(BASE, "b", 2)], 4), None)
def test_what_is_encoded_is_found(table, data):
    rows, unit = table
    encoded = lines.encode(rows, BASE, unit)
    known = {row.address: row for row in rows}
    addresses = sorted(known)
    edges = {0, *(a - BASE + more for a in addresses for more in (-1, 0, 1, unit) if a - BASE + more >= 0)}
    if data is not None:
        edges |= data.draw(st.sets(st.integers(0, 2**26), max_size=5))
    for offset in sorted(edges):
        at = bisect.bisect_right(addresses, BASE + offset) - 1
        row = known[addresses[at]] if at >= 0 else Row(0, None, 0)
        expected = ("", 0) if row.file is None else (row.file, row.line)
        assert look_up(encoded, offset) == expected


@given(tables())
def test_rows_that_change_nothing_are_left_out(table):
    rows, _ = table
    kept = lines.simplified(rows)
    for before, after in pairwise(kept):
        assert before.address < after.address
        assert (before.file, before.line) != (after.file, after.line)


def test_an_address_between_instructions_is_refused():
    with pytest.raises(ValueError, match="no multiple"):
        lines.encode([Row(BASE + 2, "a", 1)], BASE, 4)


@given(st.binary(max_size=60), st.integers(0, 2**40))
@example(b"", 0)
@example(b"\x04", 8)
@example(b"\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 8)
@example(b"\x04\x01\xff\xff\x03abc", 8)
@example(b"\x01\x01\x01a\xff\xff\xff\xff\x7f\x00\x01\x01", 8)
def test_any_bytes(table, offset):
    look_up(table, offset)


@given(tables(), st.data())
def test_a_damaged_table(table, data):
    encoded = bytearray(lines.encode(*[table[0], BASE, table[1]]))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    for offset in (0, 4, 1000, 2**20):
        look_up(bytes(encoded[: data.draw(st.integers(0, len(encoded)))]), offset)
        look_up(bytes(encoded), offset)


PROGRAM = """
#line 10 "hv/common/x.py"
int g(int);
int f(int a) {
 return g(a) +
  g(a + 1);
}
#line 100 "hv/common/y.py"
int h(int a) {
  return a * 3; }
"""


@pytest.mark.parametrize(("target", "dwarf"), [("aarch64", 5), ("aarch64", 4), ("x86_64", 5)])
def test_an_image(tmp_path, target, dwarf):
    """Against what llvm-symbolizer makes of the same image."""
    source, elf = tmp_path / "x.c", tmp_path / "x.elf"
    source.write_text(PROGRAM)
    obj = tmp_path / "x.o"
    subprocess.run(
        [CLANG, f"--target={target}-none-elf", "-O1", f"-gdwarf-{dwarf}", "-c", source, "-o", obj],
        check=True,
        cwd=tmp_path,
    )
    subprocess.run(["ld.lld-19", "-e", "f", "--defsym", "g=0", "-o", elf, obj], check=True)
    table = lines.encode_elf(elf)
    with elf.open("rb") as file:
        text = lines.ELFFile(file).get_section_by_name(".text")
        start, size = text["sh_addr"], text["sh_size"]
    unit = 4 if target == "aarch64" else 1
    asked = "".join(f"{start + offset:#x}\n" for offset in range(0, size, unit))
    told = subprocess.run(
        ["llvm-symbolizer-19", "--output-style=GNU", "--no-inlines", "-f=none", "-s", "-e", elf],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = [look_up(table, offset) for offset in range(0, size, unit)]
    assert [f"{file.rpartition('/')[2]}:{line}" if line else "??:0" for file, line in found] == told
    assert {file for file, _ in found} - {""} == {"hv/common/x.py", "hv/common/y.py"}


def test_generated_files_are_left_out():
    rows = [
        Row(BASE, "hv/a.py", 1),
        Row(BASE, "/build/hv.h", 5),
        Row(BASE + 4, "/build/hv.h", 7),
        Row(BASE + 8, "hv/a.py", 2),
        Row(BASE + 12, "/build/data.c", 9),
        Row(BASE + 16, "/build/data.c", 10),
        Row(BASE + 20, "boot/entry.S", 3),
        Row(BASE + 24, None, 0),
    ]
    table = lines.encode(lines.without_generated(rows, frozenset({BASE, BASE + 12, BASE + 20})), BASE, 4)
    found = [look_up(table, offset) for offset in range(0, 32, 4)]
    assert found == [
        ("hv/a.py", 1),
        ("hv/a.py", 1),
        ("hv/a.py", 2),
        ("", 0),
        ("", 0),
        ("boot/entry.S", 3),
        ("", 0),
        ("", 0),
    ]


def test_an_image_without_lines(tmp_path):
    source, elf = tmp_path / "x.c", tmp_path / "x.elf"
    source.write_text("int f(void) { return 1; }")
    subprocess.run([CLANG, "--target=aarch64-none-elf", "-c", source, "-o", elf], check=True)
    with pytest.raises(ValueError, match="compile with -g"):
        lines.encode_elf(elf)
