"""Scenarios: the TOML files of qemu-tests/scenarios, each a machine and the domains that it runs.

    [scenario]
    description = "one line for --list"
    order = 1                   # place in --list; those without come after, by name
    like = "arm64-demo"         # take what this file leaves out, and the domains, from another scenario

    [machine]                   # what is emulated
    arch = "arm64"              # or "x86", with other defaults for machine ("q35") and cpu ("max")
    machine = "virt"            # or a board that QEMU has: "xlnx-zcu102"
    cpu = "cortex-a57"
    gic_version = 3
    cpus = 4
    memory = 2048               # MiB
    hypervisor = true           # false: boot the only domain's kernel on the bare machine
    boot = "kernel"             # the emulator loads the hypervisor; x86 also: "iso", "disk", as ./dev image makes them
    firmware = "bios"           # or "uefi", to boot a medium with; x86 only
    emulator = "qemu"           # Debian's own; or "newer-qemu", that of its backports, fetched when it is needed; or
                                # "bochs", whose cpu is one of `bochs -help cpu` and which boots a medium by BIOS
    icount = false              # true: one CPU, and time counted in instructions, as ./dev run --icount
    serial = "com1"             # our terminal; or "com2", "pci" (a card), "none"; x86 in QEMU only
    extra = []                  # more arguments of QEMU

`[hypervisor]` and `[[domain]]` belong to tools/partition, which compiles them into the device tree. On x86 the
hypervisor's command line comes with the kernel or the medium's menu, and the tree and the guests' files are modules of
the menu's entry.
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.paths import SCENARIOS
from devtools.report import Problem

CONFIGS = {"arm64": "arm64_virt", "x86": "x86_pc"}
"""Which configuration of the hypervisor is built for the machines of an architecture."""


@dataclass(frozen=True)
class Board:
    """A machine of QEMU's that is a real board, with a configuration of the hypervisor for it alone."""

    config: str
    tree: str
    """Its device tree among those of Debian's kernel: QEMU makes none for it."""


BOARDS = {"xlnx-zcu102": Board("arm64_zcu102", "xilinx/zynqmp-zcu102-rev1.0.dtb")}
"""By QEMU's name of the machine."""


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
    boot: str = "kernel"
    firmware: str = "bios"
    emulator: str = "qemu"
    icount: bool = False
    serial: str = "com1"
    extra: tuple[str, ...] = ()

    @property
    def board(self) -> Board | None:
        """None: a machine that exists in QEMU alone."""
        return BOARDS.get(self.machine)

    @property
    def config(self) -> str:
        """Which configuration of the hypervisor is built for it."""
        return self.board.config if self.board else CONFIGS[self.arch]

    @property
    def needs(self) -> tuple[str, ...]:
        """What emulating it takes, in the words of bootstrap.NEEDS. A newer QEMU lives on the libraries of Debian's."""
        emulator = "bochs" if self.emulator == "bochs" else f"qemu-{self.arch}"
        return (
            emulator,
            *(["uefi"] if self.firmware == "uefi" else []),
            *(["image"] if self.boot != "kernel" else []),
        )


DEFAULTS = {"arm64": Machine(), "x86": Machine(arch="x86", machine="q35", cpu="max", memory=1024)}
"""The machine of a scenario that says no more than its architecture."""
CHOICES = {
    "arch": tuple(CONFIGS),
    "boot": ("kernel", "iso", "disk"),
    "firmware": ("bios", "uefi"),
    "emulator": ("qemu", "newer-qemu", "bochs"),
    "serial": ("com1", "com2", "pci", "none"),
}
"""Keys of [machine] that take one of a few words."""

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
        arch = document.table("machine").get("arch", Machine.arch)
        machine, partition = DEFAULTS.get(arch, Machine()), path
    return Scenario(name, path, head["description"], head.get("order", 1 << 30), _machine(document, machine), partition)


def _path(name: str, folder: Path) -> Path:
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in folder.glob("*.toml")))
        raise Problem(f"there is no scenario {name!r}; there are: {known}")
    return path


def _machine(document: "_Document", base: Machine) -> Machine:
    values = document.table("machine")
    for key, choices in CHOICES.items():
        if values.get(key, choices[0]) not in choices:
            raise document.problem("machine", key, f"no such {WORDS[key]}, write one of {', '.join(choices)}")
    for key in ("cpus", "memory"):
        if values.get(key, 1) < 1:
            raise document.problem("machine", key, f"{key} is at least 1, write a larger number")
    machine = dataclasses.replace(base, **values)
    for key, why in unfit(machine):
        raise document.problem("machine", key, why)
    return machine


def unfit(machine: Machine) -> Iterator[tuple[str, str]]:
    """The keys whose values do not go together, each with what to write."""
    medium, pc = machine.boot != "kernel", machine.arch == "x86"
    if medium and not pc:
        yield "boot", 'only x86 boots from a medium, write "kernel"'
    if machine.firmware == "uefi" and not medium:
        yield "firmware", 'only a PC\'s medium starts by UEFI, write boot = "iso"'
    if machine.emulator == "bochs":
        if not pc:
            yield "emulator", 'Bochs emulates x86 only, write "qemu"'
        if not medium or machine.firmware != "bios":
            yield "emulator", 'Bochs boots a medium by BIOS, write boot = "iso" and firmware = "bios"'
        if machine.extra:
            yield "extra", "these are arguments of QEMU, leave them out"
        if machine.icount:
            yield "icount", "Bochs counts instructions anyway, leave it out"
    if machine.serial != "com1" and (not pc or machine.emulator == "bochs"):
        yield "serial", 'only QEMU\'s PCs have other ports, write "com1"'


WORDS = {
    "arch": "architecture",
    "boot": "way to boot",
    "firmware": "firmware",
    "emulator": "emulator",
    "serial": "serial port",
}
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
