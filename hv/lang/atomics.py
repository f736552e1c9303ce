"""Atomics. An interpreted program has one thread, so every order is the strongest."""

from __future__ import annotations

from typing import Any, ClassVar

from hv.lang.kinds import into, zero


class Atomic:
    of: ClassVar[Any]

    def __class_getitem__(cls, of: Any) -> type[Atomic]:
        return type(f"Atomic[{getattr(of, '__name__', of)}]", (Atomic,), {"of": of})

    @classmethod
    def __stored__(cls) -> Atomic:
        return cls()

    def __init__(self) -> None:
        self._value = zero(self.of)

    def load(self) -> Any:
        return self._value

    load_acquire = load_relaxed = load

    def exchange(self, value: Any) -> Any:
        old, self._value = self._value, into(self.of, value)
        return old

    def store(self, value: Any) -> None:
        self.exchange(value)

    store_release = store_relaxed = store

    def add(self, value: Any) -> Any:
        return self.exchange(_wrapping(self._value, int(self._value) + int(into(self.of, value))))

    def sub(self, value: Any) -> Any:
        return self.exchange(_wrapping(self._value, int(self._value) - int(into(self.of, value))))

    def or_(self, value: Any) -> Any:
        return self.exchange(self._value | into(self.of, value))

    def and_(self, value: Any) -> Any:
        return self.exchange(self._value & into(self.of, value))

    def compare_exchange(self, old: Any, new: Any) -> bool:
        if self._value != into(self.of, old):
            return False
        self.exchange(new)
        return True


def _wrapping(kind: Any, number: int) -> Any:
    """Atomic arithmetic wraps, also of signed integers."""
    modulus = 1 << kind.bits
    number %= modulus
    return type(kind)(number - modulus if kind.signed and number > kind.high else number)
