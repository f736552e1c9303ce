"""From a program to C files and objects on disk, cached by content: what did not change is not made again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compiler import cython_backend, cython_nodes, debuginfo
from compiler.described import described
from compiler.errors import CompileError
from compiler.header import Header
from compiler.program import Program, Target
from compiler.steps import Step, bring_up_to_date
from compiler.typesystem import NEVER
from compiler.whole import Compiler

CLANG = "clang-19"
CHECKS = "-fsanitize=array-bounds,signed-integer-overflow,shift,integer-divide-by-zero,unreachable,return"
SANITIZE = (CHECKS + ",null", "-fsanitize-trap=all")
# In the hypervisor, failed checks are calls to boot/*/checks.S, and each has its own, which the linker's code generator
# must not merge: checks that share an instruction would be told with the line of another.
# Nothing is mapped at the lowest 512 GiB there, so a reference that nobody has set faults by itself where it is used.
CALLED = (CHECKS, "-fsanitize-minimal-runtime", "-fno-sanitize-recover=all", "-fno-delete-null-pointer-checks")
OWN_CALLS = ("-mllvm", "-enable-tail-merge=0")
ARM64_ASSEMBLER = ("--target=aarch64-none-elf", "-march=armv8-a", "-g", "-Wall", "-Werror")
ARM64 = (
    "--target=aarch64-none-elf", "-march=armv8-a", "-ffreestanding", "-mgeneral-regs-only", "-mno-outline-atomics",
    "-fno-pic", "-mstrict-align", "-ftrivial-auto-var-init=zero",
)  # fmt: skip
# The image lies at a fixed address above the lowest 2 GiB, so code finds everything relative to itself.
X86 = (
    "--target=x86_64-none-elf", "-march=x86-64", "-ffreestanding", "-mgeneral-regs-only", "-mno-red-zone",
    "-fpie", "-fdirect-access-external-data", "-mcmodel=small", "-mstack-protector-guard=global",
    "-ftrivial-auto-var-init=zero",
)  # fmt: skip
COMMON = (
    "-std=gnu17", "-g", "-O2", "-Wall", "-Werror", "-Wno-unused-label", "-Wno-unused-but-set-variable",
    "-Wno-parentheses-equality", "-Wno-sometimes-uninitialized", "-Wno-incompatible-pointer-types-discards-qualifiers",
    "-Wno-tautological-compare", "-Wno-uninitialized", "-Wno-unused-value", "-Wno-unused-const-variable",
    "-Wno-tautological-constant-out-of-range-compare", "-Wno-missing-braces", "-Wno-unused-function",
    "-Wno-address-of-packed-member", "-fno-omit-frame-pointer", "-fno-strict-aliasing", "-fstrict-flex-arrays=3",
)  # fmt: skip
TARGETS = {
    "arm64": Target(
        "arm64",
        {"hv.arch": "hv.arm64.arch"},
        hosted=False,
        clang=(
            *ARM64, *CALLED, "-mcmodel=small", "-fstack-protector-strong", "-mno-omit-leaf-frame-pointer", "-flto",
        ),
        architecture="arm64",
        assembler=ARM64_ASSEMBLER,
        link=OWN_CALLS,
        image=("-O", "binary"),
    ),
    "x86": Target(
        "x86",
        {"hv.arch": "hv.x86.arch"},
        hosted=False,
        clang=(
            *X86, *CALLED, "-fstack-protector-strong", "-mno-omit-leaf-frame-pointer", "-flto",
        ),
        architecture="x86",
        assembler=("--target=x86_64-none-elf", "-g", "-Wall", "-Werror"),
        link=(*OWN_CALLS, "-mllvm", "-relocation-model=pic"),  # of the code that is made at link time
        image=("--strip-all",),
    ),
    "arm64-guest": Target(
        "arm64-guest",
        {},
        hosted=False,
        clang=(*ARM64, *SANITIZE),
        architecture="arm64",
        assembler=ARM64_ASSEMBLER,
        image=("-O", "binary"),
    ),
    "x86-guest": Target(
        "x86-guest",
        {},
        hosted=False,
        clang=(*X86, *SANITIZE),
        architecture="x86",
        assembler=("--target=x86_64-none-elf", "-g", "-Wall", "-Werror"),
        image=("--strip-all",),
    ),
    "x86-loader": Target(
        "x86-loader",
        {},
        hosted=False,
        clang=(*X86, *SANITIZE, "-flto"),
        architecture="x86",
        assembler=("--target=x86_64-none-elf", "-g", "-Wall", "-Werror"),
        image=("--strip-all",),
    ),
    "host": Target(
        "host",
        {"hv.arch": "hv.sim.arch"},
        hosted=True,
        clang=("-fPIC", "-O1", *SANITIZE),
    ),
}  # fmt: skip
ROOTS = {
    "arm64": "hv.arm64.main",
    "x86": "hv.x86.main",
    "host": "hv.sim.roots",
    "arm64-guest": "guests.hello",
    "x86-guest": "guests.x86.hello",
    "x86-loader": "loader.x86.main",
}


# Kconfig options that choose what clang adds to the code.
OPTIONS = {
    "CONFIG_CC_OPTIMIZE_FOR_SIZE": ("-Os",),
    "CONFIG_RETPOLINE": ("-mretpoline",),
    "CONFIG_HARDEN_SLS": ("-mharden-sls=all",),
}


def link_flags(program: Program) -> tuple[str, ...]:
    """The linker's, which the configuration asks for."""
    return ("--fix-cortex-a53-843419",) if program.config.get("CONFIG_ERRATUM_843419") else ()


def flags(program: Program) -> tuple[str, ...]:
    """Clang's for a program: the target's, and what the configuration adds."""
    chosen = [words for option, words in OPTIONS.items() if program.config.get(option)]
    return (*program.target.clang, *(word for words in chosen for word in words))


@dataclass
class Output:
    """What a compilation made: C sources in the directory, the text for cffi, and the symbols by Python name."""

    directory: Path
    sources: list[Path] = field(default_factory=list)
    inputs: list[Path] = field(default_factory=list)
    declarations: str = ""
    symbols: dict[str, Any] = field(default_factory=dict)


def front_end(program: Program) -> Compiler:
    compiler = Compiler(program)
    compiler.compile()
    return compiler


def _lower(
    job: tuple[str, str, list[tuple[str, int] | None], str],
) -> tuple[str, str | None, tuple[str, int, str] | None]:
    name, text, where, header = job
    try:
        return name, cython_backend.lower(text, name.replace(".", "_"), where, header), None
    except cython_backend.BackendError as error:
        return name, None, (error.file, error.line, error.message)


def emit(compiler: Compiler, directory: Path, jobs: int | None = None) -> Output:
    """Writes the program's C. Raises CompileError."""
    directory.mkdir(parents=True, exist_ok=True)
    header = Header(compiler)
    output = Output(directory, inputs=[m.path for m in compiler.program.ordered])
    write(directory / "hv.h", header.text())
    write(directory / "data.c", header.data())
    write(directory / "offsets.c", header.offsets_source())
    output.sources.append(directory / "data.c")
    backend = hashlib.sha256(
        b"".join(Path(str(m.__file__)).read_bytes() for m in (cython_backend, cython_nodes))
    ).hexdigest()
    work = []
    for name, unit in compiler.units.items():
        stem = name.replace(".", "_")
        write(directory / f"{stem}.h", unit.header())
        source = directory / f"{stem}.c"
        output.sources.append(source)
        text, where = unit.cython()
        digest = hashlib.sha256(repr((backend, text, where)).encode()).hexdigest()
        mark = directory / f"{stem}.digest"
        if not source.exists() or not mark.exists() or mark.read_text() != digest:
            write(directory / f"{stem}.pyx", text)
            work.append((name, text, where, f"{stem}.h"))
    for (name, text, where, _), (_, c, refused) in zip(work, _map(_lower, work, jobs), strict=True):
        if refused is not None:
            raise CompileError(refused[0], refused[1], f"the back end refused: {refused[2]}")
        assert c is not None
        stem = name.replace(".", "_")
        write(directory / f"{stem}.c", c)
        (directory / f"{stem}.digest").write_text(hashlib.sha256(repr((backend, text, where)).encode()).hexdigest())
    output.declarations = "\n".join(
        [
            *cffi_types(),
            *header.declarations(attributes=False),
            *(f"{header.prototype(f, attributes=False)};" for f in header.functions()),
        ]
    )
    output.declarations += "\n" + "\n".join(f"extern {header.declarator(g.type, g.c)};" for g in header.variables())
    if compiler.per_cpu_classes:
        output.declarations += f"\nextern per_cpu cx_per_cpu[{compiler.program.config.get('CONFIG_NR_CPUS', 4)}];"
    if header.hosted:
        output.declarations += "\nextern void (*cx_turn)(void);"
    output.symbols = symbols(compiler, header)
    write(directory / "symbols.json", json.dumps(output.symbols, indent=1))
    write(directory / "declared.json", json.dumps(described(compiler), indent=1))
    write(directory / "debug.json", json.dumps(debuginfo.table(compiler, header), indent=1))
    write(directory / "declarations.h", output.declarations)
    return output


def cffi_types() -> list[str]:
    from compiler.prelude import TYPES

    return [TYPES]


def symbols(compiler: Compiler, header: Header) -> dict[str, Any]:
    """Python names to what C calls them, for tests and debuggers."""
    found: dict[str, Any] = {
        "functions": {},
        "variables": {},
        "classes": {},
        "registers": compiler.registers,
        "per_cpu": [],
        "constants": {},
        "indirect": {},  # a function that calls function values or through interfaces, to all that they may be
        "values": [],  # whatever may be called so
    }
    for f in header.functions():
        found["functions"][f.qualified] = {
            "c": f.c, "raises": f.raises, "method": not f.static, "result": f.result.shown,
            "parameters": [[p.name, p.type.shown] for p in f.parameters],
            "never": f.result is NEVER, "module": f.module.name,
        }  # fmt: skip
        if f.indirect:
            found["indirect"][f.c] = sorted({callee.c for i in f.indirect for callee in compiler.targets(i)})
    for g in header.variables():
        found["variables"][f"{g.declaration.module.name}.{g.declaration.name}"] = {"c": g.c, "type": g.type.shown}
    for i in header.instances():
        found["classes"][f"{i.info.module.name}.{i.shown}"] = i.c
    for g in compiler.globals.found.values():
        if g.constant is not None and isinstance(g.constant.value, int):
            found["constants"][f"{g.declaration.module.name}.{g.declaration.name}"] = g.constant.value
    found["values"] = sorted(f.c for f in compiler.function_values())
    found["per_cpu"] = [c.c for c in compiler.per_cpu_classes]
    for declaration, enum in compiler.declarations.enums.items():
        if enum is not None:
            found["classes"].setdefault(f"{declaration.module.name}.{declaration.name}", enum.c)
    return found


def _map(function: Any, work: list[Any], jobs: int | None) -> Iterable[Any]:
    if len(work) <= 2 or jobs == 1:
        return [function(item) for item in work]
    with ProcessPoolExecutor(jobs or os.cpu_count()) as pool:
        return list(pool.map(function, work, chunksize=4))


def write(path: Path, text: str) -> None:
    """Writes when the text differs, so that time stamps tell what changed."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def compile_objects(output: Output, flags: Iterable[str], tag: str, jobs: int | None = None) -> list[Path]:
    """Compiles every source with clang; unchanged ones are kept. Raises RuntimeError with clang's words."""
    steps = []
    for source in output.sources:
        made, own = source.with_suffix(f".{tag}.o"), source.with_suffix(".h")
        command = (CLANG, *COMMON, *flags, "-I", output.directory, "-c", source, "-o", made)
        steps.append(Step(command, made, [output.directory / "hv.h", source, *([own] if own.exists() else [])]))
    bring_up_to_date(steps, jobs)
    return [step.made for step in steps]
