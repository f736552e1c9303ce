"""A compiled partition in the words of those who load it by a list: people, QEMU, scripts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

from tools.partition.model import Compiled


def as_list(compiled: Compiled, dtb: Path) -> str:
    return "\n".join(f"{load.address:#012x} {load.size:>10} {load.path}" for load in compiled.loads)


def as_qemu(compiled: Compiled, dtb: Path) -> str:
    """Arguments in one line, quoted for a shell. In QEMU's own syntax a comma in a value is written twice."""
    return shlex.join(qemu_arguments(compiled, dtb))


def qemu_arguments(compiled: Compiled, dtb: Path) -> list[str]:
    arguments = ["-dtb", str(dtb)]
    for load in compiled.loads:
        name = str(load.path).replace(",", ",,")
        arguments += ["-device", f"loader,file={name},addr={load.address:#x},force-raw=on"]
    return arguments


def as_json(compiled: Compiled, dtb: Path) -> str:
    loads = [{"address": load.address, "path": str(load.path), "size": load.size} for load in compiled.loads]
    return json.dumps({"dtb": str(dtb), "loads": loads}, indent=2)


FORMATS: dict[str, Callable[[Compiled, Path], str]] = {
    "list": as_list,
    "qemu": as_qemu,
    "json": as_json,
}
