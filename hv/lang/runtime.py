"""What the loader (compiler/interpret.py) calls from an interpreted program."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from hv.lang.arrays import array
from hv.lang.classes import Object
from hv.lang.errno import Errno
from hv.lang.functions import Preemption
from hv.lang.ints import Integer, Weak, divide, greater, remainder, smaller
from hv.lang.kinds import Annotation, Environment, TupleWord, copied, into, nullable, zero
from hv.lang.trap import Mismatch, Trap
from hv.lang.words import counted, item, length, number_of, numbered, part, truth

PYTHON_WORDS: dict[str, Any] = {
    "len": length, "range": counted, "enumerate": numbered, "ord": number_of, "min": smaller, "max": greater,
    "bool": bool, "tuple": TupleWord,
}  # fmt: skip

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "FloorDiv": divide, "Mod": remainder,
    "BitAnd": operator.and_, "BitOr": operator.or_, "BitXor": operator.xor,
    "LShift": operator.lshift, "RShift": operator.rshift,
}  # fmt: skip


def typed(annotation: Annotation, value: Any, environment: Environment | None = None) -> Any:
    """A value that an annotation names the type of."""
    return into(annotation.resolve(environment), value)


def nothing(annotation: Annotation, environment: Environment | None = None) -> Any:
    """The zero of a result: what an instruction gives off the machine."""
    return zero(annotation.resolve(environment))


def inverted(x: Any) -> Any:
    """`~x`: of a literal, in the width that the context gives."""
    return Weak(lambda kind: ~(x if kind is None else kind(x))) if type(x) is int else ~x


def local(value: Any, before: Callable[[], Any]) -> Any:
    """A value assigned to a local without annotation; `before()` is what the local held, if anything."""
    if type(value) is not int and not isinstance(value, Weak):
        if isinstance(value, Integer):
            held = _held(before)
            return type(held).accept(value) if isinstance(held, Integer) else value
        return copied(value)
    held = _held(before)
    if isinstance(held, Integer):
        return type(held).accept(value)
    return Weak.of(value) if type(value) is int else value


def _held(before: Callable[[], Any]) -> Any:
    try:
        return before()
    except NameError:
        return None


def augmented(name: str, current: Any, value: Any) -> Any:
    """`current op= value`: a kind stays the kind that it is."""
    made = OPERATIONS[name](current, value)
    if isinstance(current, Integer) and isinstance(made, Integer) and type(made) is current.base:
        return type(current)(made)
    return made


def augment_field(owner: Any, field: str, name: str, value: Callable[[], Any]) -> None:
    """`owner.field op= value()`, where the field is read first."""
    current = copied(getattr(owner, field))
    setattr(owner, field, augmented(name, current, value()))


def augment_item(owner: Any, index: Any, name: str, value: Callable[[], Any]) -> None:
    """`owner[index] op= value()`, where the element is read first."""
    current = copied(item(owner, index))
    owner[index] = augmented(name, current, value())


class Preemptible:
    """`preemptible(range(owner.field, stop), owner)`."""

    def __init__(self, owner: Any, field: str, stop: Any) -> None:
        self.owner = owner
        self.field = field
        self.kind = type(getattr(owner, field))
        self.next = int(getattr(owner, field))
        self.stop = int(stop)

    def __iter__(self) -> Iterator[Any]:
        while self.next < self.stop:
            yield self.kind(self.next)
            self.next += 1
            policy = Preemption.policy
            if self.next < self.stop and policy is not None and policy():
                raise Errno.ERESTART  # type: ignore[attr-defined]

    def passed(self, error: Errno) -> None:
        if error.name == "ERESTART":
            setattr(self.owner, self.field, self.kind(self.next))

    def ended(self) -> None:
        setattr(self.owner, self.field, self.kind(max(self.next, self.stop)))


def kind_of(value: Any) -> Any:
    """What a generic function's type parameter is, from an argument."""
    return type(value)


def signed(*parameters: Annotation) -> Callable[[Any], Any]:
    """Lets an adapter ask what a function takes."""

    def mark(function: Any) -> Any:
        function.__kinds__ = parameters
        return function

    return mark


def parameter_of(function: Any, place: int) -> Any:
    """The type of a function's parameter, which a type parameter of its adapter stands for."""
    return function.__kinds__[place].resolve()


def argument_of(value: Any, place: int) -> Any:
    """The argument of a generic class, from an object of it."""
    return list(type(value).__env__.values())[place]


def parameter(environment: Environment, name: str) -> Any:
    if name not in environment:
        raise Mismatch(f"{name} is not known here")
    return environment[name]


__all__ = [
    "PYTHON_WORDS",
    "Annotation",
    "Environment",
    "Errno",
    "Object",
    "Preemptible",
    "Trap",
    "argument_of",
    "array",
    "augment_field",
    "augment_item",
    "augmented",
    "divide",
    "inverted",
    "item",
    "kind_of",
    "local",
    "nothing",
    "nullable",
    "parameter",
    "parameter_of",
    "part",
    "remainder",
    "signed",
    "truth",
    "typed",
]  # fmt: skip
