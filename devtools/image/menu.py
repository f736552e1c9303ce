"""GRUB's menu: what can be started, and on which consoles it is shown."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.report import Problem

HYPERVISOR = "/boot/hv.elf"
CONFIGURATION = "/boot/grub/grub.cfg"
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=,.:/+@%")

HEAD = """\
if serial --unit=0 --speed=115200 --word=8 --parity=no --stop=1; then
  terminal_input --append serial
  terminal_output --append serial
fi
"""
"""Adds the first serial port, where there is one, to the consoles that GRUB already has."""


@dataclass(frozen=True)
class Entry:
    """A line of the menu: the hypervisor with a command line, and with modules in their order."""

    title: str
    command_line: str = ""
    modules: tuple[Path, ...] = ()


def text(entries: Sequence[Entry], timeout: int, default: int = 0) -> str:
    """grub.cfg: the entry of number `default` starts by itself after `timeout` seconds, at once with 0."""
    blocks = [HEAD, f"set default={default}\nset timeout={timeout}\n", *map(_block, entries)]
    return "\n".join(blocks)


def _block(entry: Entry) -> str:
    words = " ".join(map(quoted, [HYPERVISOR, *entry.command_line.split()]))
    modules = "".join(f"  module2 {quoted(module_name(path))}\n" for path in entry.modules)
    return f"menuentry {quoted(entry.title)} {{\n  multiboot2 {words}\n{modules}}}\n"


def module_name(path: Path) -> str:
    """Where a module lies on the medium: by its contents, so that each lies there once."""
    return f"/boot/modules/{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def quoted(word: str) -> str:
    """A word for GRUB's shell, in single quotes unless it needs none. Problem: it holds what cannot be quoted."""
    if word and PLAIN.issuperset(word):
        return word
    if "'" in word or not word.isprintable():
        raise Problem(f"{word!r} cannot be written in GRUB's menu: leave single quotes and control characters out")
    return f"'{word}'"
