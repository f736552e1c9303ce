"""What an SMMUv3 confines: a guest that owns the PCI host bridge, and lets a device behind it read and write."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from console import assert_well

from devtools import boot, scenario
from devtools.machine import Machine

pytestmark = pytest.mark.arm64

SECONDS = 120
IMAGE = 0x4020_0000  # where QEMU's virt puts the hypervisor
CODE = 0x4_0000  # bytes of it, of which none changes
AIMED = (0x5880_0000, IMAGE, 0x3000_0000, 0x900_0000)
"""Another domain's memory, the hypervisor, nothing at all, the hypervisor's UART."""


class Monitor:
    """QEMU's own view of the machine (QEMU, docs/interop/qmp-spec.rst)."""

    def __init__(self, place: Path) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(place))
        self.answers = self.connection.makefile("r")
        self.answers.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> None:
        self.connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while "return" not in (answer := json.loads(self.answers.readline())):
            assert "event" in answer, answer

    def memory(self, address: int, size: int, folder: Path) -> bytes:
        file = folder / "memory"
        self.ask("pmemsave", val=address, size=size, filename=str(file))
        return file.read_bytes()


@contextmanager
def running(name: str, folder: Path) -> Iterator[tuple[Machine, Monitor]]:
    place = folder / "qmp"
    command = [*boot.command(scenario.load(name)), "-qmp", f"unix:{place},server=on,wait=off"]
    with Machine(command) as machine:
        machine.expect("Constrictor", SECONDS)
        yield machine, Monitor(place)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("arm64-smmu", 1),
        pytest.param("arm64-smmu-stage2", 2, marks=pytest.mark.long),
    ],
)
def test_a_device_reaches_its_guests_memory_alone(name: str, stage: int, tmp_path: Path) -> None:
    """It moves its guest's bytes rightly. What it is aimed at elsewhere it neither reads nor changes, the hypervisor
    says which device of whom it was, and the other guest goes on with its secrets as they were. The guest resets
    itself, and in its second life all is the same.
    """
    with running(name, tmp_path) as (machine, monitor):
        machine.expect(f"(hv) smmuv3@9050000: confines devices by stage {stage}, 65536 streams", SECONDS)
        machine.expect_all(["READY dma", "READY watch"], SECONDS)
        code = monitor.memory(IMAGE, CODE, tmp_path)
        assert any(code)
        for life in ("first", "second"):
            if life == "second":
                machine.expect("(hv) d1 dma: reset", SECONDS)
                machine.expect("AGAIN dma", SECONDS)
            machine.expect("MOVED dma", SECONDS)
            for address in AIMED:
                for way in ("write", "read"):
                    fault = f"stream 0x8 of smmuv3@9050000: translation fault at {address:#x} ({way}) (arm64-smmu.toml:"
                    machine.expect(f"(hv) d1 dma: {fault}", SECONDS)
                machine.expect(f"AIMED at {address:#x}", SECONDS)
        machine.expect("DONE dma ok", SECONDS)
        machine.expect("(hv) d1 dma: powered off", SECONDS)
        machine.expect("WATCHED watch", SECONDS)
        machine.expect("WATCHED watch", SECONDS)
        assert monitor.memory(IMAGE, CODE, tmp_path) == code
        assert_well(machine)
