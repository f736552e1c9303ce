"""A compiled partition in the words of those who load it: people, QEMU, U-Boot, scripts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
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


def as_uboot(compiled: Compiled, dtb: Path) -> str:
    """Commands for U-Boot's shell, with the variables of its distribution boot; all files lie in one directory there.

    Comments name the file to copy where the name on the boot medium has to differ from it.
    """
    lines = []
    for load, name in zip(compiled.loads, _unique(load.path.name for load in compiled.loads), strict=True):
        if name != load.path.name:
            lines.append(f"# {name} is a copy of {load.path}")
        lines.append(f"load ${{devtype}} ${{devnum}}:${{distro_bootpart}} {load.address:#x} {shlex.quote(name)}")
    lines.append(f"load ${{devtype}} ${{devnum}}:${{distro_bootpart}} ${{fdt_addr_r}} {shlex.quote(dtb.name)}")
    lines.append("booti ${kernel_addr_r} - ${fdt_addr_r}")
    return "\n".join(lines)


def _unique(names: Iterator[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        candidate, number = name, 1
        while candidate in seen:
            number += 1
            candidate = f"{number}-{name}"
        seen.add(candidate)
        yield candidate


def as_json(compiled: Compiled, dtb: Path) -> str:
    loads = [{"address": load.address, "path": str(load.path), "size": load.size} for load in compiled.loads]
    return json.dumps({"dtb": str(dtb), "loads": loads}, indent=2)


FORMATS: dict[str, Callable[[Compiled, Path], str]] = {
    "list": as_list,
    "qemu": as_qemu,
    "uboot": as_uboot,
    "json": as_json,
}
