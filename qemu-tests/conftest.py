"""Machines for the tests, booted for one test and stopped after it, their consoles kept in build/serial: a scenario's,
or one with nothing but the hypervisor.
"""

import dataclasses
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from devtools import boot, build, guests, qemu, scenario
from devtools.machine import Machine
from devtools.paths import BUILD, SCENARIOS

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Emulators do not run beside each other: each would be slowed down by the others."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("emulator")
            item.add_marker(pytest.mark.xdist_group("emulator"))


class Boot(Protocol):
    def __call__(self, name: str, options: boot.Options = ..., folder: Path = ...) -> Machine: ...


def serial_of(request: pytest.FixtureRequest) -> Path:
    """Where a test's console is kept."""
    name = re.sub(r"[^\w-]+", "-", request.node.name).rstrip("-")
    serial = BUILD / "serial" / f"{name}.log"
    serial.parent.mkdir(parents=True, exist_ok=True)
    return serial


@pytest.fixture
def booted(request: pytest.FixtureRequest) -> Iterator[Boot]:
    """Boots a scenario by name, in the folder of all or another, and returns the running machine."""
    with ExitStack() as running:

        def start(name: str, options: boot.Options = boot.Options(), folder: Path = SCENARIOS) -> Machine:
            machine = Machine(boot.command(scenario.load(name, folder), options), serial_of(request))
            return running.enter_context(machine)

        yield start


class BootAlone(Protocol):
    def __call__(self, bootargs: str = ..., **hardware: object) -> Machine: ...


@pytest.fixture
def arch() -> str:
    """Whose machines a test is about; one about others, or several, says so itself."""
    return "arm64"


@pytest.fixture
def hypervisor(request: pytest.FixtureRequest, arch: str) -> Iterator[BootAlone]:
    """Boots the hypervisor without domains; arguments are those of a scenario's [machine]."""
    with ExitStack() as running:

        def start(bootargs: str = "", **hardware: object) -> Machine:
            asked = {"cpus": 2, "memory": 512} | hardware
            machine = dataclasses.replace(scenario.DEFAULTS[arch], **asked)  # type: ignore[arg-type]
            tree = guests.device_tree(machine.board.tree) if machine.board else None
            payload = qemu.Payload(build.build(machine.config), dtb=tree, bootargs=bootargs)
            return running.enter_context(Machine(qemu.command(machine, payload), serial_of(request)))

        yield start
