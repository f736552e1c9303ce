"""TOML with the line of every key.

tomllib gives values without positions, so a second pass asks tomllib itself where each statement ends: a statement
begins at the start of a line, and while a string or an array of it is open, its lines alone are not valid TOML. The
shortest run of lines that parses is therefore exactly one statement, whatever it holds.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.partition.mistakes import Mistake, PartitionError

Place = tuple[str | int, ...]


class Document:
    """The values of a TOML file and the line (from 1) of each key, table and array element."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self._lines: dict[Place, int] = {}
        try:
            self.data: dict[str, Any] = tomllib.loads(text + "\n")  # errors have a position except at the very end
        except tomllib.TOMLDecodeError as error:
            raise PartitionError(path, [_syntax_mistake(str(error), text)]) from None
        except (ValueError, RecursionError):
            mistake = Mistake(_first_broken(text), "a number or nesting beyond all measure", "write less")
            raise PartitionError(path, [mistake]) from None
        self._locate(text)

    def line(self, *place: str | int) -> int:
        """The line of the key at `place`, or of the innermost table around it that the file has."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def _locate(self, text: str) -> None:
        table: Place = ()
        elements: dict[Place, int] = {}  # array of tables -> index of its newest element
        for number, chunk, content in _statements(text):
            if chunk[0].lstrip().startswith("["):
                table = self._enter(content, number, elements)
            else:
                self._record(table, content, number, chunk)

    def _enter(self, header: dict[str, Any], number: int, elements: dict[Place, int]) -> Place:
        """Notes the header of a table and returns the place that the keys below it belong to."""
        place: Place = ()
        inner: Any = header
        while inner:
            ((key, inner),) = inner.items()
            place += (key,)
            self._lines.setdefault(place, number)
            if isinstance(inner, list):
                elements[place] = elements.get(place, -1) + 1
                inner = inner[0]
            if place in elements:
                place += (elements[place],)
                self._lines.setdefault(place, number)
        return place

    def _record(self, place: Place, value: Any, number: int, chunk: list[str]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                self._lines.setdefault((*place, key), number)
                self._record((*place, key), inner, number, chunk if len(value) == 1 else chunk[:1])
        elif isinstance(value, list):
            for index, (inner, at) in enumerate(zip(value, _element_lines(len(value), number, chunk), strict=True)):
                self._lines.setdefault((*place, index), at)
                self._record((*place, index), inner, at, chunk[:1])


def parse(path: Path) -> Document:
    """Reads a file. PartitionError: it cannot be read, is not UTF-8, or is not TOML."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        mistake = Mistake(1, f"the file cannot be read: {error.strerror}", "name an existing partition file")
        raise PartitionError(path, [mistake]) from None
    try:
        return Document(path, raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        mistake = Mistake(line, f"byte 0x{raw[error.start]:02x} is not UTF-8", "save the file in the UTF-8 encoding")
        raise PartitionError(path, [mistake]) from None


def _parses(lines: list[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines) + "\n")
    except (ValueError, RecursionError):
        return None


def _statements(text: str) -> Iterator[tuple[int, list[str], dict[str, Any]]]:
    """Each header or assignment: where it begins, its lines, what they say. Stops at one that never ends."""
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        end = start + 1
        while (content := _parses(lines[start:end])) is None:
            if end == len(lines):
                return
            end += 1
        if content:
            yield start + 1, lines[start:end], content
        start = end


def _element_lines(count: int, number: int, chunk: list[str]) -> list[int]:
    """The line where each element of the array in `chunk` ends, found by closing the array early after each line."""
    found: list[int] = []
    for end in range(1, len(chunk)):
        inner: Any = _parses([*chunk[:end], "]"])
        while isinstance(inner, dict) and len(inner) == 1:
            (inner,) = inner.values()
        if isinstance(inner, list):
            found += [number + end - 1] * (min(len(inner), count) - len(found))
    return found + [number + len(chunk) - 1] * (count - len(found))


def _syntax_mistake(message: str, text: str) -> Mistake:
    """tomllib's message with its position taken out of the words; what is never closed is reported where it begins."""
    position = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    what = message[: position.start()] if position else message
    begin = _first_broken(text)
    if position is None or position[1] is None:
        return Mistake(begin, f"not valid TOML: {what}", _syntax_advice(what))
    line, column = int(position[1]), position[2]
    since = f" of what begins in line {begin}" if begin < line else ""
    return Mistake(line, f"not valid TOML: {what} (column {column}{since})", _syntax_advice(what))


def _first_broken(text: str) -> int:
    """The line where the first statement begins that is not valid TOML by itself; past the end when all are."""
    lines = text.split("\n")
    done = max((number + len(chunk) - 1 for number, chunk, _ in _statements(text)), default=0)
    rest = range(done, len(lines))
    return next((i + 1 for i in rest if lines[i].strip() and not lines[i].lstrip().startswith("#")), len(lines) + 1)


def _syntax_advice(what: str) -> str:
    for sign, advice in SYNTAX_ADVICE.items():
        if sign in what:
            return advice
    return "write key = value, or a table header such as [[domain]]"


SYNTAX_ADVICE = {
    "immutable": "write a list of tables in one way: name = [{ ... }], or [[name]] before each",
    "overwrite": "write each key once; a further domain begins with [[domain]]",
    "twice": "write each table once; a further domain begins with [[domain]]",
    "nterminated": "close it with the quotes that it begins with",
    "nclosed": "close it",
    "Unescaped": "write a backslash twice, or the text in '...'",
    "Illegal character": "close the quotes in the same line, or write other characters",
    "after a statement": 'write one assignment per line, and text in quotes ("256M")',
    "Invalid value": 'write text in quotes ("..."), numbers and true or false without',
}
"""Words of tomllib's messages, and what to write instead."""
