"""Scenarios: the TOML files of qemu-tests/scenarios, each a machine and the domains that it runs.

    [scenario]
    description = "one line for --list"
    order = 1                   # place in --list; those without come after, by name
    like = "arm64-demo"         # take what this file leaves out, and the domains, from another scenario

    [machine]                   # what QEMU emulates
    arch = "arm64"
    machine = "virt"
    cpu = "cortex-a57"
    gic_version = 3
    cpus = 4
    memory = 2048               # MiB
    hypervisor = true           # false: boot the only domain's kernel on the bare machine
    extra = []                  # more arguments of QEMU

`[hypervisor]` and `[[domain]]` belong to tools/partition, which compiles them into the device tree.
"""

import dataclasses
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.paths import SCENARIOS
from devtools.report import Problem

CONFIGS = {"arm64": "arm64_virt"}
"""Which configuration of the hypervisor is built for the machines of an architecture."""


@dataclass(frozen=True)
class Machine:
    """The emulated machine; its fields are the keys of [machine]."""

    arch: str = "arm64"
    machine: str = "virt"
    cpu: str = "cortex-a57"
    gic_version: int = 3
    cpus: int = 4
    memory: int = 2048
    hypervisor: bool = True
    extra: tuple[str, ...] = ()


KEYS: dict[str, dict[str, type]] = {
    "scenario": {"description": str, "order": int, "like": str},
    "machine": {field.name: type(field.default) for field in dataclasses.fields(Machine)},
}
"""The tables that are read here, their keys, and the types of the values; a list of texts becomes a tuple."""


@dataclass(frozen=True)
class Scenario:
    """A scenario; `partition` is the file that holds its domains."""

    name: str
    path: Path
    description: str
    order: int
    machine: Machine
    partition: Path


def every(folder: Path = SCENARIOS) -> list[Scenario]:
    """All scenarios, the default first."""
    found = [load(path.stem, folder) for path in folder.glob("*.toml")]
    return sorted(found, key=lambda scenario: (scenario.order, scenario.name))


def load(name: str, folder: Path = SCENARIOS) -> Scenario:
    """Reads a scenario. Raises Problem "FILE:LINE: what is wrong, write what instead"."""
    path = _path(name, folder)
    document = _Document(path)
    head = document.table("scenario")
    if "description" not in head:
        raise document.problem("scenario", None, 'no description, write description = "..." under [scenario]')
    if "like" in head:
        if "like" in _Document(_path(head["like"], folder)).table("scenario"):
            raise document.problem("scenario", "like", "that is a variant itself, write the name of one that is not")
        base = load(head["like"], folder)
        machine, partition = base.machine, base.partition
    else:
        machine, partition = Machine(), path
    return Scenario(name, path, head["description"], head.get("order", 1 << 30), _machine(document, machine), partition)


def _path(name: str, folder: Path) -> Path:
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in folder.glob("*.toml")))
        raise Problem(f"there is no scenario {name!r}; there are: {known}")
    return path


def _machine(document: "_Document", base: Machine) -> Machine:
    values = document.table("machine")
    if values.get("arch", base.arch) not in CONFIGS:
        raise document.problem("machine", "arch", f"no such architecture, write one of {', '.join(CONFIGS)}")
    for key in ("cpus", "memory"):
        if values.get(key, 1) < 1:
            raise document.problem("machine", key, f"{key} is at least 1, write a larger number")
    return dataclasses.replace(base, **values)


IN_WORDS = {str: "a text in quotes", int: "a number", bool: "true or false", tuple: "a list of texts"}


class _Document:
    """A parsed file with the lines of its keys, which tomllib does not tell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text()
        try:
            self.tables: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise Problem(f"{path}: not TOML: {error}") from None

    def table(self, name: str) -> dict[str, Any]:
        """The keys of a table, proven to be known and of their types."""
        table = self.tables.get(name, {})
        if not isinstance(table, dict):
            raise self.problem(None, name, f"this is a table, write [{name}]")
        allowed = KEYS[name]
        values = {}
        for key, value in table.items():
            if key not in allowed:
                raise self.problem(name, key, f"unknown key {key!r}, write one of {', '.join(allowed)}")
            if isinstance(value, list) and all(isinstance(word, str) for word in value):
                value = tuple(value)
            if type(value) is not allowed[key]:
                raise self.problem(name, key, f"{key} is of another type, write {IN_WORDS[allowed[key]]}")
            values[key] = value
        return values

    def problem(self, table: str | None, key: str | None, text: str) -> Problem:
        """A Problem at the line of a key, or of its table when the key is None."""
        current, place = None, 1
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[+\s*([\w-]+)", line)
            if header:
                current = header[1]
                if current == table or (table is None and current == key):
                    place = number
            elif key is not None and current == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                place = number
                break
        return Problem(f"{self.path}:{place}: {text}")
