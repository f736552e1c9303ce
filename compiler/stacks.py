"""How deep each stack can become: the call graph of the linked image, closed by what the compiler knows of function
values and interfaces, weighed with the frames that the machine code makes.

A panic cuts the graph: the functions of the panic module that do not return may be entered from anywhere, a panic
itself included, and the second entry stops the CPU (hv/common/kernel/panic.py). So they count twice, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compiler.errors import ImageError
from compiler.image_code import Call, Function, Image
from compiler.places import Place, places

PANIC_MODULE = "hv.common.kernel.panic."
PANICS_ON_A_STACK = 2


@dataclass(frozen=True)
class Stack:
    """A stack as boot/ARCHITECTURE/proofs.toml declares it, in bytes."""

    name: str
    size: int
    margin: int
    entries: dict[str, int]  # the functions that assembly enters, and what lies on the stack by then
    interrupt: str | None = None  # the stub that an interrupt runs on top
    interrupt_below: int = 0
    fault: str | None = None  # what a fault enters on top of all this
    fault_below: int = 0


@dataclass(frozen=True)
class Step:
    """One function of a chain; `stack` is what is in use when it calls the next, its own frame when it calls none. An
    inlined one uses its caller's frame.
    """

    function: str
    stack: int
    place: Place | None  # of the call
    inlined: bool = False


@dataclass(frozen=True)
class Bound:
    """The deepest that a stack gets from one entry."""

    stack: Stack
    entry: str
    bytes: int
    chain: list[Step]

    @property
    def fits(self) -> bool:
        return self.bytes + self.stack.margin <= self.stack.size

    def shown(self) -> str:
        rows = [
            f"{step.stack:8}  {step.function}{' (inlined)' if step.inlined else ''}"
            + (f"  {step.place}" if step.place else "")
            for step in self.chain
        ]
        return "\n".join(["   bytes  function, place of its call", *rows])


class Graph:
    """The calls of an image. `symbols` is the compiler's symbols.json."""

    def __init__(self, image: Image, symbols: Mapping[str, Any]) -> None:
        self.image = image
        self.python = {f["c"]: name for name, f in symbols["functions"].items()}
        self.panics = {
            image.symbols[f["c"]]
            for name, f in symbols["functions"].items()
            if name.startswith(PANIC_MODULE) and f["never"] and f["c"] in image.symbols
        }
        self.depths: dict[tuple[int, int], tuple[int, Call | None, int]] = {}
        self.targets: dict[int, list[int]] = {}
        self._close(symbols["indirect"])

    def name(self, at: int) -> str:
        """A function's Python name; its symbol when it is assembly or a helper."""
        return self.python_name(self.image.functions[at].name)

    def python_name(self, symbol: str) -> str:
        return self.python.get(symbol.partition(".")[0], symbol)

    def _close(self, known: Mapping[str, list[str]]) -> None:
        """Finds what each computed call may reach: by the Python function that holds it, which may be inlined here."""
        computed = [(f, c) for f in self.image.functions.values() if f.compiled for c in f.calls if c.target is None]
        where = places(self.image.path, [c.address for _, c in computed])
        for function, call in computed:
            holders = [place.function.partition(".")[0] for place in where[call.address]]
            names = next((known[h] for h in holders if h in known), None)
            if names is None:  # none at all is an interface that nothing in this image implements
                shown = where[call.address][0] if where[call.address] else function.name
                raise ImageError(
                    f"{self.image.name}: the call at {call.address:#x} in {self.name(function.start)} ({shown}) "
                    "goes where the compiler knows of no function"
                )
            self.targets[call.address] = sorted({self.image.symbols[n] for n in names if n in self.image.symbols})

    def callees(self, call: Call) -> list[int]:
        """Assembly's computed jumps lead to entries, which proofs.toml lists."""
        return [call.target] if call.target is not None else self.targets.get(call.address, [])

    def depth(self, start: int, panics: int = 0) -> int:
        """The most bytes in use below the address that SP has when a function begins, after `panics` panics."""
        path: list[int] = []
        return self._depth(start, panics, path)

    def _depth(self, at: int, panics: int, path: list[int]) -> int:
        known = self.depths.get((at, panics))
        if known is not None:
            return known[0]
        if at in path:
            cycle = " -> ".join(self.name(a) for a in [*path[path.index(at) :], at])
            raise ImageError(f"{self.image.name}: recursion, so the stack has no bound: {cycle}")
        if at not in self.image.functions:
            raise ImageError(f"{self.image.name}: {self.name(path[-1])} calls {at:#x}, where no function begins")
        function = self.image.followed(at)
        path.append(at)
        deepest: tuple[int, Call | None, int] = (0 if function.uncounted else function.frame, None, 0)
        for call in () if function.uncounted else function.calls:
            if call.depth is None:
                continue
            for callee in self.callees(call):
                if callee in self.panics:
                    if panics == PANICS_ON_A_STACK:
                        continue
                    below = self._depth(callee, panics + 1, [])
                else:
                    below = self._depth(callee, panics, path)
                if call.depth + below > deepest[0]:
                    deepest = (call.depth + below, call, callee)
        path.pop()
        self.depths[at, panics] = deepest
        return deepest[0]

    def chain(self, start: int) -> list[tuple[Function, Call | None]]:
        """The functions of the deepest chain, with the call that each makes."""
        found: list[tuple[Function, Call | None]] = []
        at, panics = start, 0
        self.depth(start)
        while True:
            _, call, callee = self.depths[at, panics]
            found.append((self.image.functions[at], call))
            if call is None:
                return found
            panics += callee in self.panics
            at = callee

    def reached(self, starts: Iterable[int]) -> set[int]:
        found: set[int] = set()
        pending = list(starts)
        while pending:
            at = pending.pop()
            if at in found or at not in self.image.functions:
                continue
            found.add(at)
            for call in self.image.followed(at).calls:
                if call.depth is not None:
                    pending += self.callees(call)
        return found


def bounds(image: Image, stacks: Sequence[Stack], symbols: Mapping[str, Any]) -> list[Bound]:
    """Each entry's bound. Raises ImageError: recursion, an unknown target, or code that no entry leads to."""
    graph = Graph(image, symbols)
    found: list[tuple[Stack, str, int, list[tuple[int, Function, Call | None]]]] = []
    entered: set[int] = set()
    for stack in stacks:
        for entry, below in stack.entries.items():
            at = _address(image, stack, entry)
            total = below + graph.depth(at)
            chain = _summed(below, graph.chain(at))
            reached = graph.reached([at])
            if stack.interrupt is not None:
                stub = _address(image, stack, stack.interrupt)
                again = graph.reached([stub])
                enabling = _enabling(image, again)
                if enabling is not None:
                    raise ImageError(
                        f"{image.name}: {graph.name(enabling)} lets interrupts in while one is being handled: "
                        "their depth on the stack has no bound"
                    )
                entered |= again
                if _enabling(image, reached) is not None:
                    chain += _summed(total + stack.interrupt_below, graph.chain(stub))
                    total += stack.interrupt_below + graph.depth(stub)
            entered |= reached
            if stack.fault is not None:
                handler = _address(image, stack, stack.fault)
                entered |= graph.reached([handler])
                chain += _summed(total + stack.fault_below, graph.chain(handler))
                total += stack.fault_below + graph.depth(handler)
            found.append((stack, entry, total, chain))
    _refuse_unreached(image, graph, entered, set(symbols["values"]))
    _refuse_unlisted(image, graph, stacks)
    where = places(image.path, [c.address for *_, chain in found for _, _, c in chain if c is not None])
    return [
        Bound(
            stack,
            graph.python_name(entry),
            total,
            [step for used, f, c in chain for step in _steps(graph, f, used, where[c.address] if c else [])],
        )
        for stack, entry, total, chain in found
    ]


def _steps(graph: Graph, function: Function, used: int, where: list[Place]) -> list[Step]:
    """A function of a chain, and those inlined in it down to the one that calls."""
    if not where:
        return [Step(graph.name(function.start), used, None)]
    return [
        Step(graph.name(function.start) if i == 0 else graph.python_name(place.function), used, place, i > 0)
        for i, place in enumerate(reversed(where))
    ]


def _refuse_unlisted(image: Image, graph: Graph, stacks: Iterable[Stack]) -> None:
    """Where assembly goes to compiled code it does so at an entry, or on a way that was followed and counted."""
    listed = {name for stack in stacks for name in (*stack.entries, stack.interrupt, stack.fault)}
    for address, instruction in image.instructions.items():
        if address in image.visited or image.function_at(address).compiled:
            continue
        target = image.architecture.flow(instruction)[1]
        callee = image.functions.get(target) if target is not None else None
        if callee is not None and callee.compiled and callee.name not in listed:
            raise ImageError(
                f"{image.name}: {image.function_at(address).name} at {address:#x} goes to {graph.name(callee.start)}, "
                "which is no entry of a stack in proofs.toml"
            )


def prove(found: Iterable[Bound]) -> None:
    for bound in found:
        if not bound.fits:
            stack = bound.stack
            raise ImageError(
                f"the stack `{stack.name}` may need {bound.bytes} bytes from {bound.entry} on; it has {stack.size}, "
                f"of which {stack.margin} must stay free. Make the frames on this way smaller, or the stack larger:\n"
                + bound.shown()
            )


def _address(image: Image, stack: Stack, name: str) -> int:
    if name not in image.symbols or image.symbols[name] not in image.functions:
        raise ImageError(f"{image.name}: there is no function {name}, which the stack `{stack.name}` is entered by")
    return image.symbols[name]


def _enabling(image: Image, reached: Iterable[int]) -> int | None:
    return next((at for at in sorted(reached) if image.functions[at].enables_interrupts), None)


def _summed(below: int, chain: list[tuple[Function, Call | None]]) -> list[tuple[int, Function, Call | None]]:
    """The chain with what is in use at each call."""
    found = []
    for function, call in chain:
        own = function.frame if call is None else call.depth or 0
        used = below + (0 if function.uncounted else own)
        found.append((used, function, call))
        below = used
    return found


def _refuse_unreached(image: Image, graph: Graph, entered: set[int], values: set[str]) -> None:
    """Compiled code is all below some entry, or the graph is not closed. What an interface's table or a registry holds
    and nobody calls through it stays in the image; it may be unreached.
    """
    for at, function in sorted(image.functions.items()):
        if function.compiled and at not in entered and at not in image.parts and function.name not in values:
            raise ImageError(
                f"{image.name}: {graph.name(at)} is called from no entry that proofs.toml lists: its stack is unknown"
            )
