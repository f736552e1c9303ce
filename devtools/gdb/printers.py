"""Objects of the hypervisor as a person reads them: enums by name, bit-fields by field, queues as what is on them."""

from collections.abc import Iterator
from typing import Any

import gdb

from devtools.gdb.program import Program

LONGEST = 4096  # text that is read, in bytes
MOST = 64  # elements of a queue or table that are shown

Value = Any  # gdb.Value


def text_of(value: Value) -> str:
    length = int(value["length"])
    if not length:
        return ""
    return bytes(gdb.selected_inferior().read_memory(int(value["data"]), min(length, LONGEST))).decode(errors="replace")


class Text:
    def __init__(self, value: Value) -> None:
        self.value = value

    def to_string(self) -> str:
        return repr(text_of(self.value))


class Structure:
    """A class; fields that have a Python type of their own show it."""

    def __init__(self, program: Program, value: Value, form: dict[str, Any]) -> None:
        self.program = program
        self.value = value
        self.form = form

    def to_string(self) -> str:
        """The class without its module."""
        name, bracket, arguments = str(self.form["name"]).partition("[")
        return name.rpartition(".")[2] + bracket + arguments

    def children(self) -> Iterator[tuple[str, Any]]:
        for field in self.value.type.fields():
            yield field.name, self.shown(field.name, self.value[field.name])

    def shown(self, name: str, value: Value) -> Any:
        described = self.form["fields"].get(name)
        return value if described is None else elements(self.program, described, value)


def elements(program: Program, described: str, value: Value) -> Any:
    """A value, or an array of them, as the described type."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_ARRAY:
        low, high = kind.range()
        parts = [str(elements(program, described, value[i])) for i in range(low, min(high, low + MOST - 1) + 1)]
        return f"[{', '.join(parts)}{', …' if high - low + 1 > MOST else ''}]"
    if described == "text" or (kind.code != gdb.TYPE_CODE_INT and kind.code != gdb.TYPE_CODE_BOOL):
        return value
    return program.shown(described, int(value) & ((1 << 8 * kind.sizeof) - 1))


class Queue(Structure):
    """An OrderedQueue: its owners from the head on."""

    def to_string(self) -> str:
        return f"{super().to_string()} of {int(self.value['length'])}"

    def children(self) -> Iterator[tuple[str, Any]]:
        link = self.value["first"]
        for i in range(min(int(self.value["length"]), MOST)):
            if int(link) == 0:
                yield str(i), "the queue ends before its length"
                return
            yield f"[{i}] key {int(link['key'])}", link["owner"]
            link = link["next"]


class Ring(Structure):
    """What has been added and not yet taken."""

    def to_string(self) -> str:
        count = (int(self.value["added"]) - int(self.value["taken"])) & 0xFFFF_FFFF
        return f"{super().to_string()} with {count}"


class DomainPrinter(Structure):
    def to_string(self) -> str:
        state = self.shown("state", self.value["state"])
        return f"d{int(self.value['id'])} {text_of(self.value['config']['name'])} {state}"


class VcpuPrinter(Structure):
    def to_string(self) -> str:
        domain = self.value["domain"]
        owner = f"d{int(domain['id'])}" if int(domain) else "d?"
        state = self.shown("runstate", self.value["runstate"])
        return f"{owner}v{int(self.value['id'])} {state} on CPU {int(self.value['at'])}"


SPECIAL = {
    "hv.common.model.domain.Domain": DomainPrinter,
    "hv.common.model.vcpu.Vcpu": VcpuPrinter,
    "hv.common.lib.ordered.OrderedQueue": Queue,
    "hv.common.lib.ring.Ring": Ring,
}


class Lookup:
    """gdb asks it for the printer of each value that is printed."""

    name = "constrictor"
    enabled = True
    subprinters = None

    def __init__(self, program: Program) -> None:
        self.program = program

    def __call__(self, value: Value) -> Text | Structure | None:
        kind = value.type.strip_typedefs()
        if kind.code != gdb.TYPE_CODE_STRUCT:
            return None
        if value.type.name == "text" or kind.tag == "text":
            return Text(value)
        form = self.program.debug["structures"].get(kind.tag)
        if form is None:
            return None
        return SPECIAL.get(form["name"].partition("[")[0], Structure)(self.program, value, form)
