"""The images of boards: small, and with the drivers of the board alone."""

from __future__ import annotations

import ast
import json
from functools import cache

import pytest

from compiler.image_code import Image
from devtools import build
from devtools.paths import ROOT

pytestmark = pytest.mark.arm64

UARTS = {"arm64_zcu102": "hv.common.drivers.cadence_uart", "arm64_rcar3": "hv.common.drivers.scif"}
DRIVERS = {"uart_drivers": "hv/common/drivers", "controllers": "hv/arm64"}
"""The registries of drivers, and where they register themselves."""
LEFT_OUT = {
    "hv.arm64.gicv3",
    "hv.arm64.date",
    "hv.arm64.interrupt_dump",
    "hv.common.builder.debug_keys",
    "hv.common.drivers.pl031",
    "hv.common.kernel.crash",
    "hv.common.kernel.exit_stats",
    "hv.common.kernel.lock_profile",
    "hv.common.kernel.recovery",
    "hv.common.kernel.selftest",
    "hv.common.kernel.trace_ring",
    "hv.common.kernel.tracer",
    "hv.common.kernel.watchdog",
    "hv.common.mm.trace_control",
    "hv.common.selftest",
}
"""Modules, and packages, that no board's image has."""
LIMIT = 200 * 1024


def registered(registry: str) -> set[str]:
    """The modules with a driver in a registry."""
    found = set()
    for path in (ROOT / DRIVERS[registry]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "entry" and isinstance(node.value, ast.Name):
                if node.value.id == registry:
                    found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert found, registry
    return found


@cache
def symbols(config: str) -> frozenset[str]:
    """Of the linked image."""
    build.build(config)
    return frozenset(Image(build.folder(config) / "hv" / "hv.elf").symbols)


def of(module: str, config: str) -> set[str]:
    """What is in the image of a module, or of a package's modules."""
    assert list((ROOT / "hv").rglob(f"{module.rpartition('.')[2]}*")), f"there is no {module} any more"
    prefix = module.removeprefix("hv.").replace(".", "_")
    return {name for name in symbols(config) if name == prefix or name.startswith(f"{prefix}_")}


@pytest.mark.parametrize("config", UARTS)
def test_the_boards_own_drivers_are_there_and_no_others(config: str) -> None:
    """By the symbol table: its UART and its GICv2."""
    for registry, own in (("uart_drivers", UARTS[config]), ("controllers", "hv.arm64.gicv2")):
        there = {module for module in registered(registry) if of(module, config)}
        assert there == {own}, f"{registry}: {there}"


@pytest.mark.parametrize("config", UARTS)
def test_nothing_is_there_that_the_configuration_leaves_out(config: str) -> None:
    left = {module: of(module, config) for module in LEFT_OUT}
    assert not any(left.values()), {module: names for module, names in left.items() if names}


@pytest.mark.parametrize("config", UARTS)
def test_what_is_looked_for_would_be_found(config: str) -> None:
    """The names of modules that are in every image."""
    for module in ("hv.common.kernel.panic", "hv.common.mm.heap", "hv.common.sched.core"):
        assert of(module, config)


@pytest.mark.parametrize("config", UARTS)
def test_the_image_is_small(config: str) -> None:
    """What a boot loader loads, beside the tree and the guests."""
    size = build.build(config).stat().st_size
    report = json.loads((build.folder(config) / "hv" / "report.json").read_text())
    largest = sorted(report["modules"], key=lambda m: -int(m["code"] + m["data"]))[:10]
    assert size < LIMIT, f"{size} bytes; the largest modules: {largest}"
