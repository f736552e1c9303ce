"""The device trees of boards in Debian's arm64 kernel: what the hypervisor reads in them is what libfdt reads.

Debian builds its kernel for the RZ/G2M alone among the R-Car Gen3 systems and what was made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libfdt
import pytest

from devtools import debian
from tests.common.guests import MEMORY, TREE, VCPUS, Machine

pytestmark = pytest.mark.arm64

DEVICETREE = "hv.common.drivers.devicetree."
PLATFORM = "hv.arm64.platform."
UART = "hv.common.drivers."
NODE = "hv.common.lib.fdt.Node."
PSCI = 0
RENESAS, XILINX = "renesas/r8a77*.dtb", "xilinx/zynqmp*.dtb"


def trees(pattern: str) -> list[Path]:
    found = sorted(debian.device_trees().glob(pattern))
    assert found, f"Debian's kernel has no {pattern}"
    return found


class Expected:
    """A tree by libfdt. Buses between a device and the root must not translate addresses."""

    def __init__(self, blob: bytes) -> None:
        self.fdt = libfdt.FdtRo(blob)

    def nodes(self, parent: int | None = None) -> Iterator[int]:
        """All, or a node's children."""
        if parent is None:
            offset, depth = 0, 0
            while depth >= 0:
                yield offset
                offset, depth = self.fdt.next_node(offset, depth, (libfdt.NOTFOUND,))
                if offset < 0:
                    return
            return
        offset = self.fdt.first_subnode(parent, (libfdt.NOTFOUND,))
        while offset >= 0:
            yield offset
            offset = self.fdt.next_subnode(offset, (libfdt.NOTFOUND,))

    def bytes(self, node: int, name: str) -> bytes:
        value = self.fdt.getprop(node, name, (libfdt.NOTFOUND,))
        return b"" if isinstance(value, int) else bytes(value)

    def strings(self, node: int, name: str) -> list[str]:
        return self.bytes(node, name).decode().split("\0")[:-1]

    def cells(self, node: int, name: str) -> list[int]:
        value = self.bytes(node, name)
        return [int.from_bytes(value[i : i + 4], "big") for i in range(0, len(value), 4)]

    def enabled(self, node: int) -> bool:
        return self.strings(node, "status") in ([], ["okay"], ["ok"])

    def regions(self, node: int) -> list[tuple[int, int]]:
        parent = self.fdt.parent_offset(node)
        while parent > 0:
            assert self.bytes(parent, "ranges") == b""
            parent = self.fdt.parent_offset(parent)
        cells = self.cells(node, "reg")
        assert len(cells) % 4 == 0
        return [(a << 32 | b, c << 32 | d) for a, b, c, d in zip(*[iter(cells)] * 4, strict=True)]

    def of_type(self, kind: str) -> list[int]:
        return [n for n in self.nodes() if self.strings(n, "device_type") == [kind] and self.enabled(n)]

    def compatible(self, *names: str) -> list[int]:
        return [n for n in self.nodes() if set(names) & set(self.strings(n, "compatible")) and self.enabled(n)]

    def console(self) -> int:
        name = self.fdt.getprop(self.fdt.path_offset("/chosen"), "stdout-path").as_str().split(":")[0]
        return int(self.fdt.path_offset(self.fdt.get_alias(name) or name))

    def interrupt(self, node: int, index: int = 0) -> int:
        extended = self.cells(node, "interrupts-extended")  # of boards all from one controller
        assert len(set(extended[::4])) <= 1
        listed = [cell for i, cell in enumerate(extended) if i % 4] or self.cells(node, "interrupts")
        kind, number, _ = listed[3 * index : 3 * index + 3]
        return number + (32 if kind == 0 else 16)


class Board:
    """The hypervisor's view of a tree."""

    def __init__(self, blob: bytes) -> None:
        self.machine = Machine(1)
        self.machine.put(TREE, blob)
        self.machine.call(f"{VCPUS}load_tree", TREE, len(blob))

    def held(self, node: Any) -> Any:
        return self.machine.ffi.new("common_lib_fdt_Node *", node)

    def name(self, node: Any) -> str:
        return str(self.machine.call(f"{NODE}name", self.held(node)))

    def region(self, node: Any, index: int) -> tuple[int, int]:
        found = self.machine.call(f"{NODE}reg", self.held(node), index)
        return found.start, found.size

    def find(self, path: str) -> Any:
        return self.machine.call("hv.common.lib.fdt.Fdt.find", self.machine.host.variable(f"{DEVICETREE}tree"), path)

    def memory(self) -> list[tuple[int, int]]:
        self.machine.call(f"{DEVICETREE}add_memory")
        ram = self.machine.host.variable(f"{MEMORY}early.early").ram
        found = [(r.start, r.end) for r in list(ram.ranges)[: ram.count]]
        self.machine.call(f"{DEVICETREE}reserve_memory")
        return found


def merged(regions: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Starts and ends, neighbours made one."""
    made: list[tuple[int, int]] = []
    for start, size in sorted(regions):
        first = made.pop()[0] if made and made[-1][1] == start else start
        made.append((first, start + size))
    return made


@pytest.mark.parametrize(
    ("pattern", "driver", "uart"),
    [(RENESAS, "scif.port", "SCIF"), (XILINX, "cadence_uart.port", "Cadence")],
    ids=["renesas", "xilinx"],
)
def test_boards_are_found_as_they_are(pattern: str, driver: str, uart: str) -> None:
    """Memory, CPUs, how these start, timer, interrupt controller, and the console with its driver."""
    for path in trees(pattern):
        blob = path.read_bytes()
        expected, board = Expected(blob), Board(blob)
        call = board.machine.call
        variable = board.machine.host.variable

        banks = [region for node in expected.of_type("memory") for region in expected.regions(node)]
        assert board.memory() == merged([bank for bank in banks if bank[1]]), path
        assert call(f"{DEVICETREE}machine_cpus") == len(expected.of_type("cpu")) >= 2, path

        call(f"{PLATFORM}find_firmware")
        (psci,) = expected.compatible("arm,psci-0.2")
        assert expected.strings(psci, "method") == ["smc"]
        assert variable("hv.arm64.psci.firmware").present, path
        for cpu in expected.of_type("cpu"):
            assert expected.strings(cpu, "enable-method") == ["psci"]
            assert call("hv.arm64.cpu_node.start_method", board.find(expected.fdt.get_path(cpu))) == PSCI, path

        (timer,) = expected.compatible("arm,armv8-timer")
        found = variable("hv.arm64.timer_node.timer_node")
        call("hv.arm64.timer_node.TimerNode.init", found)
        assert (found.virtual, found.hypervisor) == (expected.interrupt(timer, 2), expected.interrupt(timer, 3)), path

        (controller,) = expected.compatible("arm,gic-400")
        chosen = call(f"{PLATFORM}find_controller")
        assert chosen.driver.object == variable("hv.arm64.gicv2.gicv2"), path
        for i, region in enumerate(expected.regions(controller)):
            assert board.region(chosen.node, i) == region, path

        console = call(f"{DEVICETREE}console_node")
        node = expected.console()
        assert board.name(console) == expected.fdt.get_name(node), path
        assert board.region(console, 0) == expected.regions(node)[0], path
        assert call(f"{UART}uart.uart_of", console).object == variable(f"{UART}{driver}"), f"{path}: no {uart}"
        assert call("hv.arm64.interrupts.interrupt_of", console, 0).intid == expected.interrupt(node), path


def test_every_tree_of_debians_kernel_is_read() -> None:
    """Whatever board: it is well-formed, and none says what the hypervisor cannot keep in mind about its memory."""
    for path in trees("*/*.dtb"):
        Board(path.read_bytes()).memory()
