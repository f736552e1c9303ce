"""Mistakes that a person made in a partition file, and the error that reports all of them at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_SHOWN = 40  # characters of a text in a message


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake: its line (from 1), what is wrong, and what to write instead."""

    line: int
    what: str
    instead: str


class PartitionError(Exception):
    """A partition file cannot be compiled. Its text has one line per mistake: FILE:LINE: what is wrong; what to write.

    Invariant: at least one mistake, in the order of their lines, each once.
    """

    def __init__(self, path: Path, mistakes: Iterable[Mistake]) -> None:
        self.path = path
        self.mistakes = sorted(set(mistakes))
        super().__init__("\n".join(f"{path}:{m.line}: {m.what}; {m.instead}" for m in self.mistakes))


class Mistakes:
    """Collects the mistakes of one file, so that a person sees them together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: list[Mistake] = []

    def add(self, line: int, what: str, instead: str) -> None:
        self._found.append(Mistake(line, what, instead))

    def check(self) -> None:
        """Raises PartitionError when there are any."""
        if self._found:
            raise PartitionError(self.path, self._found)


class Wrong(Exception):
    """A value that cannot be used; whoever knows the line turns it into a Mistake.

    `element` is the index in an array that the mistake is about, when it is about one.
    """

    def __init__(self, what: str, instead: str, element: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.instead = instead
        self.element = element


def closest(word: str, known: Iterable[str]) -> str:
    """What to write in place of an unknown word: the nearest known one, or the choice."""
    names = list(known)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    return f'did you mean "{near[0]}"?' if near else "known here: " + ", ".join(names)


def shown(value: Any) -> str:
    """A value as a person finds it in the file, shortened, with control characters escaped."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "...", ensure_ascii=False)
        case int():
            return str(value) if abs(value) < 1 << 63 else "a number beyond 64 bits"
        case dict():
            return "a table"
        case list():
            return "an array"
    return str(value)
