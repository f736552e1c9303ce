"""Machines for the tests: a scenario's, booted for one test and stopped after it, its console kept in build/serial."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from devtools import boot, scenario
from devtools.machine import Machine
from devtools.paths import BUILD

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Emulators do not run beside each other: each would be slowed down by the others."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("emulator")
            item.add_marker(pytest.mark.xdist_group("emulator"))


class Boot(Protocol):
    def __call__(self, name: str, options: boot.Options = ...) -> Machine: ...


@pytest.fixture
def booted(request: pytest.FixtureRequest) -> Iterator[Boot]:
    """Boots a scenario by name and returns the running machine."""
    with ExitStack() as running:

        def start(name: str, options: boot.Options = boot.Options()) -> Machine:
            serial = BUILD / "serial" / f"{request.node.name}.log"
            serial.parent.mkdir(parents=True, exist_ok=True)
            return running.enter_context(Machine(boot.command(scenario.load(name), options), serial))

        yield start
