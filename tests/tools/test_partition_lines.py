"""Lines of keys: whatever a TOML file holds and however it is laid out, each key is found where it stands."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.partition.lines import Document
from tools.partition.mistakes import PartitionError

PATH = Path("machine.toml")

EXAMPLE = '''\
top = 1
# [[comment]] = 2

"quoted key".'a.b' = 3
[table] # and a comment
text = """
key = "inside a string"
[header]
"""
array = [
  "a", "b",   # two in a line
  """c
  d""",
  [
    1,
    2,
  ],
  { inline = 1, more.dots = [ 2 ] },
]
after = true
[[list]]
one = 1
  [list.table]
  two = 2
  [[list.inner]]
  three = 3
  [[list.inner]]
  four = 4
[[list]]
one = 5
[[list.inner]]
three = 6
'''

PLACES = [
    (("top",), 1),
    (("quoted key",), 4),
    (("quoted key", "a.b"), 4),
    (("table",), 5),
    (("table", "text"), 6),
    (("table", "array"), 10),
    (("table", "array", 0), 11),
    (("table", "array", 1), 11),
    (("table", "array", 2), 13),
    (("table", "array", 3), 17),
    (("table", "array", 4), 18),
    (("table", "array", 4, "inline"), 18),
    (("table", "array", 4, "more", "dots", 0), 18),
    (("table", "after"), 20),
    (("list",), 21),
    (("list", 0), 21),
    (("list", 0, "one"), 22),
    (("list", 0, "table"), 23),
    (("list", 0, "table", "two"), 24),
    (("list", 0, "inner", 0), 25),
    (("list", 0, "inner", 0, "three"), 26),
    (("list", 0, "inner", 1), 27),
    (("list", 0, "inner", 1, "four"), 28),
    (("list", 1), 29),
    (("list", 1, "one"), 30),
    (("list", 1, "inner", 0), 31),
    (("list", 1, "inner", 0, "three"), 32),
]


@pytest.mark.parametrize(("place", "line"), PLACES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_places(place: tuple[str | int, ...], line: int, newline: str) -> None:
    assert Document(PATH, EXAMPLE.replace("\n", newline)).line(*place) == line


def test_place_that_the_file_lacks_is_that_of_the_table_around_it() -> None:
    document = Document(PATH, EXAMPLE)
    assert document.line("list", 1, "missing", "key") == 29
    assert document.line("missing") == 1


KEYS = st.text(st.sampled_from("ab\u00fc.-\"'\n#=[ "), min_size=1, max_size=6)
BLANK = st.sampled_from(["", "  ", "# [x]", "# a = '''", '\t# """'])
MESSY = st.text(st.sampled_from("ab=[]{}#'\n "), max_size=12)


def quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = "".join(f"\\U{ord(c):08X}" if ord(c) < 32 or ord(c) == 127 or c in '"\\' else c for c in text)
    return f'"{escaped}"'


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, str, list[int]]:
    """A key, a text that assigns to it, and when it is an array the lines of its elements, counted from the key's."""
    key = draw(KEYS)
    kind = draw(st.sampled_from(["number", "line", "lines", "literal", "array"]))
    if kind == "number":
        return key, f"{quoted(key)} = {draw(st.integers(-(2**63), 2**63 - 1))}", []
    content = draw(MESSY)
    if kind == "line":
        return key, f"{quoted(key)}={quoted(content)}", []
    if kind == "lines":
        return key, f'{quoted(key)}\t = """{content}"""', []
    if kind == "literal":
        return key, f"{quoted(key)} = '''{content.replace(chr(39), '')}'''", []
    rows = draw(st.lists(st.lists(MESSY, max_size=3), min_size=1, max_size=4))
    text = f"{quoted(key)} = ["
    at = []
    for number, row in enumerate(rows):
        text += "".join(quoted(element) + ", " for element in row) + draw(BLANK) + "\n"
        at += [number] * len(row)
    return key, text + "]", at


@given(st.lists(st.tuples(st.lists(BLANK, max_size=2), st.booleans(), statements()), max_size=12))
def test_lines_of_arbitrary_documents(parts: list[tuple[list[str], bool, tuple[str, str, list[int]]]]) -> None:
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    tables = 0
    for blanks, opens, (key, text, elements) in parts:
        lines += blanks
        if opens:
            lines.append("[['a table']]")
            table = ("a table", tables)
            tables += 1
            expected[table] = len(lines)
        place = (*table, key)
        if place in expected or place == ("a table",):
            continue
        expected[place] = len(lines) + 1
        expected |= {(*place, index): len(lines) + 1 + at for index, at in enumerate(elements)}
        lines += text.split("\n")
    text = "\n".join(lines)
    document = Document(PATH, text)
    assert document.data == tomllib.loads(text)
    assert {place: document.line(*place) for place in expected} == expected


@given(st.text(st.sampled_from("ab=[]{}#'\"\\\n\r .,1-:T_x"), max_size=60))
def test_any_text_is_a_document_or_a_mistake_in_one_of_its_lines(text: str) -> None:
    try:
        document = Document(PATH, text)
    except PartitionError as error:
        (mistake,) = error.mistakes
        assert 1 <= mistake.line <= text.count("\n") + 1
    else:
        assert document.data == tomllib.loads(text + "\n")
