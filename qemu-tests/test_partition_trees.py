"""Device trees in which one domain's node went wrong: it is refused with a line, or built, and the others run."""

import dataclasses
import random
import re
from collections.abc import Iterator
from pathlib import Path

import libfdt
import pytest
from console import PANIC, focus

from devtools import boot, qemu, scenario
from devtools.machine import Machine
from tools.partition.tree import subnodes

pytestmark = pytest.mark.arm64

SECONDS = 60
TREES = 20
IN_CI = 3
HEAD = '[scenario]\ndescription = "three unikernels"\n[machine]\ncpus = 2\nmemory = 512\n'
DOMAIN = (
    '[[domain]]\nname = "{}"\nmemory = 16\ncpus = 2\nkernel = "guest:hello"\nbootargs = "x"\naffinity = ["0", "0-1"]\n'
)
KEPT = ("compatible",)  # of the domain's own node: it stays a domain


def places(fdt: libfdt.Fdt, domain: int) -> Iterator[tuple[int, str]]:
    """The nodes and properties that may change."""
    for node in (domain, *subnodes(fdt, domain)):
        at = fdt.first_property_offset(node, (libfdt.NOTFOUND,))
        while at >= 0:
            name = fdt.get_property_by_offset(at).name
            if node != domain or name not in KEPT:
                yield node, name
            at = fdt.next_property_offset(at, (libfdt.NOTFOUND,))


def gone_wrong(dtb: bytes, seed: int) -> bytes:
    """The tree with one to three changes in the node of the domain "odd", or below it."""
    chance = random.Random(seed)
    fdt = libfdt.Fdt(bytearray(dtb))
    fdt.resize(len(dtb) + 4096)
    for _ in range(chance.randint(1, 3)):
        domain = fdt.path_offset("/chosen/odd")
        node, name = chance.choice(list(places(fdt, domain)))
        value = bytearray(fdt.getprop(node, name))
        match chance.choice(["byte", "byte", "shorter", "longer", "random", "none"]):
            case "byte" if value:
                value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
            case "shorter":
                del value[chance.randrange(len(value) + 1) :]
            case "longer":
                value += chance.randbytes(chance.choice([1, 4, 8]))
            case "none":
                fdt.delprop(node, name)
                continue
            case _:
                value = bytearray(chance.randbytes(len(value)))
        fdt.setprop(node, name, bytes(value))
    return bytes(fdt.as_bytearray())


@pytest.mark.parametrize(
    "seed", [*range(IN_CI), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(IN_CI, TREES))]
)
def test_a_domain_that_went_wrong_harms_nobody(tmp_path: Path, seed: int) -> None:
    (tmp_path / "three.toml").write_text(HEAD + "".join(map(DOMAIN.format, ("before", "odd", "after"))))
    chosen = scenario.load("three", tmp_path)
    payload = boot.on_arm64(chosen, boot.Options())
    assert payload.dtb is not None
    odd = tmp_path / "odd.dtb"
    odd.write_bytes(gone_wrong(payload.dtb.read_bytes(), seed))
    command = qemu.command(chosen.machine, dataclasses.replace(payload, dtb=odd))
    with Machine(command) as machine:
        machine.expect_all(["(d1 before) READY hello", "(d3 after) READY hello"], SECONDS)
        focus(machine, "hypervisor")
        machine.send("q")
        machine.expect("d3 after: RUNNING", SECONDS)
        refused = re.search(r"\(hv\) odd: .+: the domain is not built", machine.output)
        assert (refused is None) == ("d2 odd" in machine.output), "the domain is refused in a line, or it is there"
        assert not PANIC.search(machine.output)


TOUCH = '[[domain]]\nname = "{}"\nmemory = 16\ncpus = 1\nkernel = "guest:touch"\nbootargs = "at={:#x}"\n{}\n'


def test_a_fault_names_the_line_of_the_partition_file(tmp_path: Path) -> None:
    """That came nearest to the address; and a domain that wants no faults reads ones where nothing is."""
    text = HEAD + TOUCH.format("behind", 0x4110_0000, "") + TOUCH.format("before", 0x1000_0000, "vpl011 = true")
    text += TOUCH.format("ones", 0x4110_0000, "trap_unmapped_accesses = false")
    (tmp_path / "three.toml").write_text(text)
    lines = text.split("\n")
    memory, uart = (lines.index(line) + 1 for line in ("memory = 16", "vpl011 = true"))
    with Machine(boot.command(scenario.load("three", tmp_path))) as machine:
        expected = [
            f"address 0x41100000: no such address (three.toml:{memory} ends at 0x41000000)",
            f"address 0x10000000: no such address (three.toml:{uart} begins at 0x22000000)",
            *(f"({name}) write 4: abort" for name in ("d1 behind", "d2 before")),
            *(
                f"(d3 ones) {said}"
                for said in ("read 4: 0xffffffff", "read 2: 0xffff", "write 4: 0x0", "DONE touch ok")
            ),
        ]
        machine.expect_all(expected, SECONDS)
        assert "d3 ones vcpu0" not in machine.output, "no complaint"
