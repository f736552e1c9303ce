"""The sets of guests that a medium's menu offers: scenarios by their names, and partition files.

A file that several sets name lies on the medium once; each set has a device tree of its own, which numbers its files.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from devtools import boot, scenario
from devtools.image.menu import Entry
from devtools.report import Problem

ARCHITECTURE = "x86"


def entries(names: Sequence[str], config: str, command_line: str) -> tuple[Entry, ...]:
    """An entry for each set, in this order, with its files built and fetched. `command_line` comes behind the set's own
    options for the hypervisor. Problem: a set is unknown, for other machines, wrong in itself, or there twice.
    """
    made: list[Entry] = []
    for name in names:
        title, path = find(name)
        if title in [entry.title for entry in made]:
            raise Problem(f"the menu has a set {title!r} already: leave {name} out, or rename the file")
        made.append(boot.menu_entry(title, boot.read_partition(path, command_line), config))
    return tuple(made)


def find(name: str) -> tuple[str, Path]:
    """The title and the partition file of a set."""
    path = Path(name)
    if path.suffix == ".toml" or len(path.parts) > 1:
        if not path.is_file():
            raise Problem(f"there is no partition file {name}; docs/partitions.md says what is in one")
        if machine_of(path) != ARCHITECTURE:
            raise Problem(f'{name} is for {machine_of(path)}: write arch = "{ARCHITECTURE}" under its [machine]')
        return path.stem, path
    fitting = [each for each in scenario.every() if each.machine.arch == ARCHITECTURE and each.machine.hypervisor]
    names = ", ".join(each.name for each in fitting)
    if name in [each.name for each in fitting]:
        return name, scenario.load(name).partition
    if name in [each.name for each in scenario.every()]:
        raise Problem(f"{name} is no set for PCs: write a partition file, or one of {names}")
    raise Problem(f"there is no set {name!r}: write a partition file (NAME.toml), or one of {names}")


def machine_of(path: Path) -> str:
    """The architecture that a file is for. One without [machine], or with mistakes that are told later, is for PCs."""
    try:
        machine = tomllib.loads(path.read_text()).get("machine")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ARCHITECTURE
    return str(machine.get("arch", scenario.Machine.arch)) if isinstance(machine, dict) else ARCHITECTURE
