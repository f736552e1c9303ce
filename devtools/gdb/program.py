"""The names and types of the program that is debugged, from the files that the compiler left beside hv.elf."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Program:
    """symbols.json and debug.json."""

    symbols: dict[str, Any]
    debug: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Program":
        read = [json.loads((folder / name).read_text()) for name in ("symbols.json", "debug.json")]
        return cls(*read)

    def __post_init__(self) -> None:
        self.python = {f["c"]: name for name, f in self.symbols["functions"].items()}

    def function(self, name: str) -> str:
        """The C name of a function. The leading `hv.` may be left out, and all but the end where that is enough."""
        functions = self.symbols["functions"]
        for whole in (name, f"hv.{name}"):
            if whole in functions:
                return str(functions[whole]["c"])
        ends = sorted(whole for whole in functions if whole.endswith(f".{name}"))
        if len(ends) == 1:
            return str(functions[ends[0]]["c"])
        if ends:
            raise LookupError(f"{name} may be any of: {', '.join(ends)}")
        raise LookupError(f"there is no function {name}; write it as hv.common.mm.heap.Heap.allocate")

    def functions_beginning(self, text: str) -> list[str]:
        return sorted(name for name in self.symbols["functions"] if name.startswith(text))

    def expression(self, text: str) -> str:
        """An expression with each dotted Python name of a module's variable or constant in C."""

        def translated(match: re.Match[str]) -> str:
            parts = match[0].split(".")
            for end in range(len(parts), 1, -1):
                for prefix in ("", "hv."):
                    name = prefix + ".".join(parts[:end])
                    rest = "".join(f".{part}" for part in parts[end:])
                    if name in self.symbols["variables"]:
                        return str(self.symbols["variables"][name]["c"]) + rest
                    if name in self.symbols["constants"]:
                        return str(self.symbols["constants"][name])
            return match[0]

        return re.sub(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", translated, text)

    def constant(self, name: str) -> int:
        return int(self.symbols["constants"][name])

    def shown(self, described: str, value: int) -> str:
        """An integer as its Python type shows it (compiler/debuginfo.py has the descriptions)."""
        shape, _, key = described.partition(" ")
        if shape == "enum":
            enum = self.debug["enums"][key]
            return flags(enum["members"], value) if enum["flags"] else member(enum["members"], value)
        if shape == "bits":
            parts = []
            for name, (high, low, of) in self.debug["bits"][key]["fields"].items():
                part = value >> low & ((1 << (high - low + 1)) - 1)
                parts.append(f"{name}={self.shown(of, part) if of else hex(part)}")
            return f"{value:#x} {{{', '.join(parts)}}}"
        return str(value) if key in ("DomId", "Ns") else hex(value)


def member(members: dict[str, int], value: int) -> str:
    return next((name for name, number in members.items() if number == value), f"{value} (no member)")


def flags(members: dict[str, int], value: int) -> str:
    names = [name for name, number in members.items() if number and value & number == number]
    rest = value
    for number in members.values():
        rest &= ~number
    return " | ".join([*names, *([hex(rest)] if rest or not names else [])])
