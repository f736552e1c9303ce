"""Guests whose memory is set aside in the machine's, and that share some of it."""

from collections.abc import Callable
from pathlib import Path

import libfdt
import pytest
from console import assert_well

from devtools import boot, scenario
from devtools.machine import Machine

pytestmark = pytest.mark.arm64

SECONDS = 180
ROOM = 1 << 12
MIB = 1 << 20
WRITER, READER, SHARED, HEAP = 0x4000_0000, 0x5180_0000, 0x5300_0000, 0x5400_0000
SHARED_BYTES = 0x2000
GUESTS = {"writer": 0x6000_0000, "reader": 0x2_2000_0000}  # where each has it
COUNT = 20_000

DOMAIN = """
[[domain]]
name = "{name}"
memory = {memory}
cpus = 1
affinity = "{cpu}"
kernel = "guest:stream"
bootargs = "count={count} write={write}"
vpl011 = true
"""


def cells(*values: int) -> bytes:
    """Of two cells each."""
    return b"".join(value.to_bytes(8, "big") for value in values)


def strings(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


def with_memory(command: list[str], folder: Path) -> list[str]:
    """The command with a tree in which the domains and the heap have places of their own."""
    dtb = command.index("-dtb") + 1
    fdt = libfdt.Fdt(Path(command[dtb]).read_bytes())
    fdt.resize(fdt.totalsize() + ROOM)
    chosen = fdt.path_offset("/chosen")
    two = (2).to_bytes(4, "big")
    fdt.setprop(chosen, "#address-cells", two)
    fdt.setprop(chosen, "#size-cells", two)
    fdt.setprop(chosen, "xen,static-heap", cells(HEAP, 64 * MIB))
    for name, place, size, role in (("writer", WRITER, 2 * MIB, "owner"), ("reader", READER, 16 * MIB, "borrower")):
        fdt.setprop(fdt.path_offset(f"/chosen/{name}"), "xen,static-mem", cells(place, size))
        if name == "writer":
            fdt.setprop(fdt.path_offset(f"/chosen/{name}"), "direct-map", b"")
        share = fdt.add_subnode(fdt.path_offset(f"/chosen/{name}"), "stream")
        fdt.setprop(share, "compatible", strings("xen,domain-shared-memory-v1"))
        fdt.setprop(share, "xen,shm-id", strings("stream"))
        fdt.setprop(share, "xen,shared-mem", cells(SHARED, GUESTS[name], SHARED_BYTES))
        fdt.setprop(share, "role", strings(role))
    fdt.pack()
    merged = folder / "merged.dtb"
    merged.write_bytes(bytes(fdt.as_bytearray())[: fdt.totalsize()])
    return [*command[:dtb], str(merged), *command[dtb + 1 :]]


@pytest.fixture
def started(tmp_path: Path):
    machines: list[Machine] = []

    def start(domains: str) -> Machine:
        (tmp_path / "memory.toml").write_text(
            f'[scenario]\ndescription = "memory"\n[machine]\ncpus = 2\nmemory = 512\n{domains}'
        )
        machine = Machine(with_memory(boot.command(scenario.load("memory", tmp_path)), tmp_path))
        machines.append(machine)
        return machine.__enter__()

    yield start
    for machine in machines:
        machine.stop()


def test_a_stream_through_shared_memory_outlives_its_writer(started: Callable[[str], Machine]) -> None:
    """All numbers arrive, in order and right, though the guest that writes them, which owns the memory, resets itself
    in the middle; the reader, whose memory is set aside too, is not started anew. The writer has its memory where the
    machine has it, below the hypervisor's image: that is where unikernels are linked; its UART is at the place of the
    machine's."""
    machine = started(
        DOMAIN.format(name="writer", memory=2, cpu=0, count=COUNT, write=1)
        + DOMAIN.format(name="reader", memory=16, cpu=1, count=COUNT, write=0)
    )
    machine.expect("(hv) the heap is static: 64 MiB", SECONDS)
    machine.expect_all(["READY writer, life 1, at number 0", "READY reader, at number 0"], SECONDS)
    machine.expect("(hv) d1 writer: reset", SECONDS)
    machine.expect(f"READY writer, life 2, at number {COUNT // 2}", SECONDS)
    machine.expect_all(["DONE writer ok", f"DONE reader ok {COUNT} numbers"], SECONDS)
    assert machine.output.count("READY reader") == 1
    assert_well(machine)
