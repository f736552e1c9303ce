"""One declaration marked @abi has the layout that Xen's public headers have: for x86-64, for arm64 and, in its Compat
form, for i386. The headers are compiled, and so is the C that the compiler writes; both are read from DWARF."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from compiler import abi, driver
from compiler.config import ROOT, host_configuration
from compiler.header import Header
from compiler.instances import ClassInstance
from compiler.lowering import c_field
from compiler.program import Program
from compiler.whole import Compiler
from tests.language.headers import structures

PROGRAM = Path(__file__).parent / "features" / "abi.py"
HEADERS = Path("/usr/include/xen")
HEAD = """\
#include <stdint.h>
#define __XEN_TOOLS__ 1
#define __XEN_INTERFACE_VERSION__ 0x00041100
"""


@cache
def compiled(name: str) -> Compiler:
    program = Program(ROOT, driver.TARGETS["host"], host_configuration())
    if name == "hv":
        program.load(driver.ROOTS["host"])
    else:
        program.load_file("abi", PROGRAM)
    return driver.front_end(program)


def declared(name: str) -> list[ClassInstance]:
    instances = compiled(name).declarations.instances.values()
    return [i for i in instances if i.info.abi is not None and i.info.abi[0] != "none"]


def public(instances: list[ClassInstance], machine: str) -> dict[str, Any]:
    wanted = [i.info.abi for i in instances if i.info.abi is not None]
    includes = "".join(f"#include <{header}>\n" for header in sorted({header for header, _ in wanted}))
    return structures(HEAD + includes, (name for _, name in wanted), machine, f"-I{HEADERS.parent}")


@pytest.mark.parametrize("program", ["abi", "hv"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i386"])
def test_layout(program: str, machine: str) -> None:
    compiler = compiled(program)
    other = "hv.x86." if machine == "aarch64" else "hv.arm64."  # what the other architecture alone has
    instances = [i for i in declared(program) if not i.info.module.name.startswith(other)]
    if not instances:
        pytest.skip("nothing is marked @abi here")
    compat = machine == "i386"
    own = [compiler.declarations.compat_of(i) if compat else i for i in instances]
    for shape in own:
        abi.layout(shape)  # what it holds has the form for 32-bit callers too
    # hv.h is for 64-bit machines; the form for 32-bit callers is read there too.
    text = Header(compiler).text()
    ours = structures(text, (i.c for i in own), "x86_64" if compat else machine, "-Wno-everything")
    theirs = public(instances, machine)
    for instance, shape in zip(instances, own, strict=True):
        assert instance.info.abi is not None
        wanted, found = theirs[instance.info.abi[1]], ours[shape.c]
        laid = abi.layout(shape)
        where = f"{instance.info.module.shown}: {shape.shown}"
        assert found.size == wanted.size == laid.size, where
        for name, place in laid.fields.items():
            field = re.sub("_$", "", name)
            assert wanted.fields[field] == (place.offset, place.size), f"{where}.{name}"
            assert found.fields[c_field(name)] == (place.offset, place.size), f"{where}.{name}"
        rest = {n for n, (_, size) in wanted.fields.items() if size} - {re.sub("_$", "", n) for n in laid.fields}
        assert not rest, f"{where} lacks {rest}"


def test_headers_are_read_rightly() -> None:
    source = "#include <stdint.h>\nstruct s { char a; uint64_t b; union { int c; char d[3]; }; void *e; char f[]; };\n"
    wanted = {
        "x86_64": (32, {"a": (0, 1), "b": (8, 8), "c": (16, 4), "d": (16, 3), "e": (24, 8), "f": (32, 0)}),
        "i386": (20, {"a": (0, 1), "b": (4, 8), "c": (12, 4), "d": (12, 3), "e": (16, 4), "f": (20, 0)}),
    }
    for machine, (size, fields) in wanted.items():
        found = structures(source, ["struct s"], machine)["struct s"]
        assert (found.size, found.fields) == (size, fields)
