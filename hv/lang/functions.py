"""Words over functions. Interpreted, most say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hv.lang.ints import u64
from hv.lang.trap import Trap


def _same(function: Any) -> Any:
    return function


raises = export = assembly_layout = override = rarely = apart = test_only = _same


class Preemption:
    """The function that preemptible loops ask between two rounds."""

    policy: Callable[[], bool] | None = None


def preemption_policy(function: Any) -> Any:
    Preemption.policy = staticmethod(function)
    return function


def unbounded(reason: str) -> Callable[[Any], Any]:
    return _same


def extern(function: Any) -> Any:
    """An assembly stub: an interpreted program cannot call it."""

    def missing(*arguments: Any) -> Any:
        raise Trap(f"{function.__name__} is assembly")

    return missing


def asm(template: str, *, pure: bool = False, changes: str = "", **places: str) -> Callable[[Any], Any]:
    """Off the machine an instruction does nothing, and its result is zero: the loader writes that body."""
    return _same


class SystemRegister:
    """Off the machine: holds what was written to it, 0 at first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._value: Any = u64(0)

    def read(self) -> Any:
        return self._value

    def write(self, value: Any) -> None:
        self._value = u64.accept(value)
