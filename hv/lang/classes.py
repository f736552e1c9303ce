"""Classes of the program: zeroed storage, typed fields, copies of generics, records, per-CPU areas and extensions.

The loader gives every class of a program the base `Object` (unless it has another from here) and moves its
annotations to `__fields__`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

from hv.lang.kinds import Annotation, Const, Environment, Signature, into, zero
from hv.lang.trap import Mismatch, Trap


class _Applied:
    """`Generic[T, N]` or `Extension[Domain]` as a base."""

    def __init__(self, base: type, arguments: tuple[Any, ...]) -> None:
        self.base = base
        self.arguments = arguments

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.base,)


class Object:
    __fields__: ClassVar[dict[str, Annotation]] = {}
    __env__: ClassVar[Environment] = {}
    __shape__: ClassVar[str] = "plain"
    __extensible__: ClassVar[bool] = False
    __packed__: ClassVar[bool] = False
    __compat__: ClassVar[Any] = None  # of the form for 32-bit callers: the class itself
    __aligned__: ClassVar[frozenset[str]] = frozenset()
    __sized__: ClassVar[dict[str, str]] = {}  # fields annotated Long or Aligned, by name
    __union__: ClassVar[bool] = False
    __alignment__: ClassVar[int] = 0
    __copies__: ClassVar[dict[tuple[Any, ...], type[Any]]] = {}
    __parameters__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        if "__env__" in vars(cls):
            return
        cls.__copies__ = {}
        for base in vars(cls).get("__orig_bases__", ()):
            if isinstance(base, _Applied) and base.base is Generic:
                cls.__parameters__ = tuple(variable.name for variable in base.arguments)

    def __class_getitem__(cls, arguments: Any) -> Any:
        """The copy of a generic class for its arguments."""
        given = arguments if isinstance(arguments, tuple) else (arguments,)
        if len(given) != len(cls.__parameters__):
            raise Mismatch(f"{cls.__name__} takes {len(cls.__parameters__)} arguments")
        if given not in cls.__copies__:
            environment = dict(zip(cls.__parameters__, given, strict=True))
            name = f"{cls.__name__}[{', '.join(getattr(a, '__name__', str(a)) for a in given)}]"
            cls.__copies__[given] = type(name, (cls,), {"__env__": environment})
        return cls.__copies__[given]

    @classmethod
    def field_kinds(cls) -> dict[str, Any]:
        found: dict[str, Any] | None = vars(cls).get("__kinds__")
        if found is None:
            found = {name: annotation.resolve(cls.__env__) for name, annotation in cls.__fields__.items()}
            cls.__kinds__ = found  # type: ignore[attr-defined]
        return found

    @classmethod
    def __stored__(cls) -> Any:
        """What a field or element of this class starts as: an object inside its owner, or a null reference."""
        if cls.__shape__ in ("plain", "protocol"):
            return None
        made = object.__new__(cls)
        made._clear()
        return made

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._clear()
        if self.__shape__ not in ("value", "guard"):
            if arguments or named:
                raise Mismatch(f"{type(self).__name__} takes no arguments")
            return
        kinds = {name: kind for name, kind in self.field_kinds().items() if not isinstance(kind, Const)}
        if len(arguments) > len(kinds):
            raise Mismatch(f"{type(self).__name__} takes {len(kinds)} arguments")
        given = dict(zip(kinds, arguments, strict=False))
        if given.keys() & named.keys() or (given | named).keys() != kinds.keys():
            raise Mismatch(f"{type(self).__name__} takes each of {', '.join(kinds)} once")
        for name, value in (given | named).items():
            object.__setattr__(self, name, into(kinds[name], value))

    def _clear(self) -> None:
        for name, kind in self.field_kinds().items():
            object.__setattr__(self, name, zero(kind))

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__shape__ == "value":
            raise Mismatch(f"the fields of a {type(self).__name__} are never assigned")
        kind = self.field_kinds().get(name, self)
        if kind is self:
            raise Mismatch(f"{type(self).__name__} has no field `{name}`")
        object.__setattr__(self, name, into(kind, value))


class Generic(Object):
    def __class_getitem__(cls, arguments: Any) -> Any:
        if cls is not Generic:
            return super().__class_getitem__(arguments)
        return _Applied(Generic, arguments if isinstance(arguments, tuple) else (arguments,))


class Protocol(Object):
    """An interface. An object of a class that implements it is accepted where it is asked for."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__env__" not in vars(cls):
            cls.__shape__ = "protocol" if Protocol in cls.__bases__ else "plain"


def value(cls: type[Object]) -> type[Object]:
    cls.__shape__ = "value"
    return cls


def guard(cls: type[Object]) -> type[Object]:
    cls.__shape__ = "guard"
    return cls


def embedded(cls: type[Object]) -> type[Object]:
    cls.__shape__ = "embedded"
    return cls


def packed(cls: type[Object]) -> type[Object]:
    cls.__packed__ = True
    return cls


def abi(header: str, name: str) -> Callable[[type[Object]], type[Object]]:
    return lambda cls: cls


def must_use(cls: type[Object]) -> type[Object]:
    return cls


def extensible(cls: type[Object]) -> type[Object]:
    cls.__extensible__ = True
    return cls


def aligned(bytes: int) -> Callable[[type[Object]], type[Object]]:
    def mark(cls: type[Object]) -> type[Object]:
        cls.__alignment__ = int(bytes)
        return cls

    return mark


class Processors:
    """Which CPU the program runs on; tests set it."""

    count = 4
    current = 0


def attach_percpu(cpu: Any) -> None:
    Processors.current = int(cpu)


class PerCpu(Object):
    __areas__: ClassVar[dict[int, Any]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__areas__ = {}

    @classmethod
    def this(cls) -> Self:
        return cls.on(Processors.current)

    @classmethod
    def on(cls, cpu: Any) -> Self:
        if not 0 <= int(cpu) < Processors.count:
            raise Trap(f"CPU {cpu} of {Processors.count}")
        area: Self = cls.__areas__.setdefault(int(cpu), cls())
        return area


class Extension(Object):
    __owner__: ClassVar[type[Object]]
    __extensions__: ClassVar[dict[type[Object], list[type[Any]]]] = {}

    def __class_getitem__(cls, owner: Any) -> Any:
        return _Applied(Extension, (owner,))

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        (cls.__owner__,) = next(b.arguments for b in vars(cls)["__orig_bases__"] if isinstance(b, _Applied))
        Extension.__extensions__.setdefault(cls.__owner__, []).append(cls)

    @classmethod
    def of(cls, owner: Any) -> Self:
        if not isinstance(owner, cls.__owner__):
            raise Mismatch(f"a {cls.__owner__.__name__} is wanted")
        parts: dict[type[Any], Any] = vars(owner).setdefault("__parts__", {})
        if cls not in parts:
            parts[cls] = cls()
        part: Self = parts[cls]
        return part


def _extensions(owner: Any) -> list[Any]:
    return [kind.of(owner) for kind in Extension.__extensions__.get(type(owner), [])]


def init_extensions(owner: Any) -> None:
    done: list[Any] = []
    for part in _extensions(owner):
        try:
            if hasattr(part, "init"):
                part.init(owner)
        except Exception:
            _tear_down(done, owner)
            raise
        done.append(part)


def teardown_extensions(owner: Any) -> None:
    _tear_down(_extensions(owner), owner)


def step_extensions(owner: Any) -> bool:
    return all(part.teardown_step(owner) for part in reversed(_extensions(owner)) if hasattr(part, "teardown_step"))


def _tear_down(parts: list[Any], owner: Any) -> None:
    for part in reversed(parts):
        if hasattr(part, "teardown"):
            part.teardown(owner)


class Registry:
    """A table that decorated functions anywhere in the program fill."""

    def __init__(self, kind: Any = None) -> None:
        self.kind = kind
        self.entries: list[tuple[tuple[str, int], Any]] = []

    def __class_getitem__(cls, kind: Any) -> Callable[[], Registry]:
        return lambda: cls(kind)

    def fitting(self, function: Any) -> Any:
        """The function as the entry's Callable field holds it."""
        return function

    def entry(self, *arguments: Any, **fields: Any) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            target = next(name for name, kind in self.kind.field_kinds().items() if isinstance(kind, Signature))
            others = [name for name in self.kind.field_kinds() if name != target]
            given = dict(zip(others, arguments, strict=False)) | fields
            made = self.kind(**given, **{target: self.fitting(function)})
            place = (function.__module__, function.__code__.co_firstlineno)
            self.entries.append((place, made))
            self.entries.sort(key=lambda item: item[0])
            return function

        return decorate

    __call__ = entry

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= int(index) < len(self.entries):
            raise Trap(f"index {index} of a registry of {len(self.entries)}")
        return self.entries[int(index)][1]

    def __iter__(self) -> Any:
        return iter([made for _, made in self.entries])


class Adapted(Registry):
    """A registry whose decorated functions an adapter makes fit."""

    def __init__(self, kind: Any = None, adapter: Any = None) -> None:
        super().__init__(kind)
        self.adapter = adapter

    def __class_getitem__(cls, kind: Any) -> Callable[..., Registry]:
        return lambda adapter: cls(kind, adapter)

    def fitting(self, function: Any) -> Any:
        return lambda *arguments: self.adapter(function, *arguments)
