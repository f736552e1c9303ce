"""Whatever a right description says, the tree says the same; whatever a wrong one says, there is a message."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.partition import PartitionError, load, read_domains

MIB = 1 << 20
CPUS = 6
MEMORY = 4096  # MiB

NAMES = st.text(st.sampled_from("abz059-"), min_size=1, max_size=15)
WORDS = st.text(st.sampled_from("abc =,/\"\\'#[]{}%$\u00e9\u20ac\U0001f40d"), max_size=60)
CPU_SETS = st.sets(st.integers(0, CPUS - 1), min_size=1)


@dataclass(frozen=True)
class Described:
    name: str
    memory: int  # MiB
    cpus: int
    kernel: str
    ramdisk: str | None
    bootargs: str | None
    vpl011: bool | None
    on_reboot: str | None
    on_crash: str | None
    affinity: list[set[int]] | set[int] | None


@st.composite
def domains(draw: st.DrawFn) -> Described:
    cpus = draw(st.integers(1, 12) | st.just(128))
    return Described(
        name=draw(NAMES),
        memory=2 * draw(st.integers(4, MEMORY // 2 // 4)),
        cpus=cpus,
        kernel=draw(st.sampled_from(["Image", "unikernel"])),
        ramdisk=draw(st.sampled_from([None, "initrd", "initrd2"])),
        bootargs=draw(st.none() | WORDS),
        vpl011=draw(st.sampled_from([None, True, False])),
        on_reboot=draw(st.sampled_from([None, "restart", "destroy"])),
        on_crash=draw(st.sampled_from([None, "restart", "destroy"])),
        affinity=draw(
            st.none() | CPU_SETS | st.lists(CPU_SETS, min_size=cpus, max_size=cpus) if cpus < 128 else CPU_SETS
        ),
    )


def spell_cpus(draw: st.DrawFn, cpus: set[int]) -> str:
    """One of the many ways to write a set: any order, repeated members, ranges."""
    parts = []
    for cpu in draw(st.permutations(sorted(cpus))):
        last = cpu
        while last + 1 in cpus and draw(st.booleans()):
            last += 1
        parts.append(f"{cpu}-{last}" if last > cpu or draw(st.booleans()) else f"{cpu}")
    return ",".join(parts)


@st.composite
def partitions(draw: st.DrawFn) -> tuple[list[Described], str]:
    """Domains and one of the many texts that describe them."""
    described = draw(st.lists(domains(), min_size=1, max_size=4, unique_by=lambda domain: domain.name))
    parts = []
    for domain in described:
        mib = domain.memory
        memory = [str(mib), f'"{mib}M"', f'"{mib * 1024}K"'] + ([f'"{mib // 1024}G"'] if mib % 1024 == 0 else [])
        keys = {
            "name": f"'{domain.name}'",
            "memory": draw(st.sampled_from(memory)),
            "cpus": draw(st.sampled_from([str(domain.cpus), hex(domain.cpus)])),
            "kernel": f'"{domain.kernel}"',
        }
        if domain.ramdisk is not None:
            keys["ramdisk"] = f'"""\\\n  {domain.ramdisk}"""'
        if domain.bootargs is not None:
            keys["bootargs"] = json.dumps(domain.bootargs, ensure_ascii=False)
        if domain.vpl011 is not None:
            keys["vpl011"] = "true" if domain.vpl011 else "false"
        for key, word in (("on_reboot", domain.on_reboot), ("on_crash", domain.on_crash)):
            if word is not None:
                keys[key] = f'"{word}"'
        if isinstance(domain.affinity, set):
            keys["affinity"] = f'"{spell_cpus(draw, domain.affinity)}"'
        elif domain.affinity is not None:
            keys["affinity"] = (
                "[\n" + "".join(f'"{spell_cpus(draw, cpus)}", # vcpu\n' for cpus in domain.affinity) + "]"
            )
        order = draw(st.permutations(list(keys)))
        if draw(st.booleans()):
            parts.append("".join(["[[domain]]\n", *(f"{key} = {keys[key]}\n" for key in order)]))
        else:
            parts.append("".join(["[['domain']] # next\n\n", *(f'  "{key}"={keys[key]} # {key}\n' for key in order)]))
    return described, "\n".join(parts)


def compile_text(text: str, files: Path, base: bytes) -> tuple[bytes, dict[int, tuple[Path, int]]]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "machine.toml"
        path.write_text(text)
        compiled = load(path).compile(base, files.joinpath)
    loads = {load.address: (load.path, load.size) for load in compiled.loads}
    spans = sorted((load.address, load.address + load.size) for load in compiled.loads)
    assert spans[0][0] >= 0x5000_0000
    assert spans[-1][1] <= 0x4000_0000 + MEMORY * MIB
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert all(start % (2 * MIB) == 0 for start, _ in spans)
    return compiled.dtb, loads


@pytest.fixture(scope="session")
def base(tree: Callable[..., bytes]) -> bytes:
    return tree(cpus=CPUS, memory=[(0x4000_0000, MEMORY * MIB)])


@given(partition=partitions())
def test_what_is_described_is_in_the_tree(partition: tuple[list[Described], str], files: Path, base: bytes) -> None:
    described, text = partition
    dtb, loads = compile_text(text, files, base)
    read = read_domains(dtb)
    assert [node.name for node in read] == [domain.name for domain in described]
    for node, domain in zip(read, described, strict=True):
        assert node.memory == domain.memory * 1024
        assert node.cpus == domain.cpus
        assert node.vpl011 == (domain.vpl011 is not False)
        assert (node.on_reboot, node.on_crash) == (domain.on_reboot or "restart", domain.on_crash or "destroy")
        assert node.kernel.bootargs == domain.bootargs
        for module, name in ((node.kernel, domain.kernel), (node.ramdisk, domain.ramdisk)):
            assert (module is None) == (name is None)
            if module is not None and name is not None:
                assert loads[module.address] == (files / name, module.size)
                assert module.size == (files / name).stat().st_size
        each = [domain.affinity] * domain.cpus if isinstance(domain.affinity, set) else domain.affinity or []
        assert node.affinity == dict(enumerate(each))


@given(partition=partitions(), at=st.floats(0, 1, exclude_max=True), change=st.text("x=[]\"'\n10-,#{}", max_size=3))
def test_damaged_text_compiles_or_is_explained(
    partition: tuple[list[Described], str], at: float, change: str, files: Path, base: bytes
) -> None:
    _, text = partition
    place = int(at * len(text))
    text = text[:place] + change + text[place + 1 :]
    try:
        compile_text(text, files, base)
    except PartitionError as error:
        assert all(1 <= mistake.line <= text.count("\n") + 1 for mistake in error.mistakes)
        assert len(str(error).splitlines()) == len(error.mistakes)


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
@example([(0.0, 0)])
def test_damaged_base_tree_is_used_or_refused(files: Path, base: bytes, damage: list[tuple[float, int]]) -> None:
    raw = bytearray(base)
    for at, byte in damage:
        raw[int(at * len(raw))] = byte
    text = "".join(f'[[domain]]\nname="d{n}"\nmemory=8\ncpus=1\nkernel="Image"\naffinity="0"\n' for n in range(2))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "machine.toml"
        path.write_text(text)
        try:
            compiled = load(path).compile(bytes(raw), files.joinpath)
        except PartitionError:
            return
    assert [domain.name for domain in read_domains(compiled.dtb)][:2] == ["d0", "d1"]
