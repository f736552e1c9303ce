"""Words over functions. Interpreted, most say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hv.lang.trap import Mismatch


def _same(function: Any) -> Any:
    return function


raises = export = assembly_layout = override = test_only = _same


def unbounded(reason: str) -> Callable[[Any], Any]:
    return _same


def extern(function: Any) -> Any:
    """An assembly stub: an interpreted program cannot call it."""

    def missing(*arguments: Any) -> Any:
        raise Mismatch(f"{function.__name__} is assembly")

    return missing


def asm(template: str, *, pure: bool = False) -> Callable[[Any], Any]:
    return extern


class SystemRegister:
    """Holds what was written to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._value: Any = None

    def read(self) -> Any:
        if self._value is None:
            raise Mismatch(f"nothing was written to {self.name}")
        return self._value

    def write(self, value: Any) -> None:
        self._value = value
