"""The functions of a linked image, found in its symbols and disassembled: whom each calls with how much of the stack in
use, which of its instructions enable interrupts.

A function is what a symbol of .text names. Symbols of type STT_FUNC are compiled code; labels of assembly have no type
and reach to the next symbol, and their code is followed wherever its jumps lead.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from elftools.elf.elffile import ELFFile

from compiler.errors import ImageError
from compiler.machine_code import ARCHITECTURES, Architecture, Flow, Instruction, State

THUNKS = ("__llvm_retpoline_", "__x86_indirect_thunk_")
PATCHES = "__CortexA53843419_"
"""What the linker moves out of a function (--fix-cortex-a53-843419): one instruction, and the jump back behind it."""
"""Functions that jump to what a register holds: clang's retpolines. A call of one is a computed call."""

LOWERED_AT_MOST = (
    8  # how often code that can be reached in two ways may find a lower stack pointer before that is a loop
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call, or a jump into another function. `depth`: bytes of the caller's frame in use and a pushed return address;
    None when the stack pointer is not the caller's any more. `target`: None when it is computed.
    """

    address: int
    depth: int | None
    target: int | None


@dataclass
class Function:
    name: str
    start: int
    end: int
    compiled: bool
    calls: list[Call] = field(default_factory=list)
    frame: int = 0
    enables_interrupts: bool = False
    followed: bool = False  # whether the three above are known
    uncounted: bool = False  # runs out of the stack on purpose

    @property
    def size(self) -> int:
        return self.end - self.start


class Image:
    """An ELF file's code. `no_return` names functions whose calls nothing follows."""

    def __init__(self, path: Path, no_return: Collection[str] = ()) -> None:
        self.name = path.name
        self.path = path
        with path.open("rb") as file:
            image = ELFFile(file)
            known = ARCHITECTURES.get(image["e_machine"])
            text = image.get_section_by_name(".text")
            if known is None or text is None:
                raise ImageError(f"{path.name}: no .text of a machine that is known: {', '.join(ARCHITECTURES)}")
            self.architecture: Architecture = known()
            self.start, self.code = text["sh_addr"], text.data()
            self.end = self.start + len(self.code)
            self.symbols: dict[str, int] = {}
            self.sizes: dict[str, int] = {}
            self._marks: list[
                tuple[int, bool]
            ] = []  # where data begins (True) and code again, of Arm's mapping symbols
            named: dict[int, tuple[str, int]] = {}
            for symbol in image.get_section_by_name(".symtab").iter_symbols():
                kind, at, name = symbol["st_info"]["type"], symbol["st_value"], symbol.name
                if symbol["st_shndx"] == "SHN_UNDEF" or kind in ("STT_FILE", "STT_SECTION"):
                    continue
                if name.startswith(("$d", "$x")):
                    self._marks.append((at, name.startswith("$d")))
                    continue
                self.symbols[name] = at
                self.sizes[name] = symbol["st_size"]
                inside = isinstance(symbol["st_shndx"], int) and image.get_section(symbol["st_shndx"]).name == ".text"
                if inside and self.start <= at < self.end and not name.startswith("__text_"):
                    size = symbol["st_size"] if kind == "STT_FUNC" else 0
                    if at not in named or size:
                        named[at] = (name, size)
        self._marks.sort()
        starts = sorted(named)
        self.functions: dict[int, Function] = {}
        for at, after in zip(starts, [*starts[1:], self.end], strict=True):
            name, size = named[at]
            self.functions[at] = Function(name, at, at + size if size else after, bool(size))
        self.starts = starts
        self.visited: set[int] = set()  # instructions that were followed
        self.thunks = {at for at, f in self.functions.items() if f.name.startswith(THUNKS)}
        self.patches = {at for at, f in self.functions.items() if f.name.startswith(PATCHES)}
        self.no_return = {self.symbols[name] for name in no_return if name in self.symbols}

    @property
    def parts(self) -> set[int]:
        """What has a symbol of a function's, and is followed as part of those that go there."""
        return self.thunks | self.patches

    def is_data(self, address: int) -> bool:
        place = bisect.bisect_right(self._marks, (address, True)) - 1
        return place >= 0 and self._marks[place][1]

    @cached_property
    def instructions(self) -> dict[int, Instruction]:
        """Those of compiled functions and of assembly, by address; what is marked as data, and padding, is left out."""
        found: dict[int, Instruction] = {}
        for function in self.functions.values():
            start = function.start - self.start
            for instruction in self.architecture.decode(self.code[start : function.end - self.start], function.start):
                if not self.is_data(instruction.address):
                    found[instruction.address] = instruction
        return found

    def function_at(self, address: int) -> Function:
        """The function that an address lies in, or the last before it."""
        return self.functions[self.starts[max(bisect.bisect_right(self.starts, address) - 1, 0)]]

    def analyse(self) -> None:
        """All compiled functions; assembly is followed when something leads there."""
        for at, function in self.functions.items():
            if function.compiled and at not in self.parts:
                self.followed(at)

    def followed(self, at: int) -> Function:
        """The function that begins at an address, its calls known."""
        function = self.functions[at]
        if not function.followed:
            function.followed = True
            _Walk(self, function).run()
        return function


class _Walk:
    """Follows one function from its first instruction, with the stack pointer's offset at each."""

    def __init__(self, image: Image, function: Function) -> None:
        self.image = image
        self.architecture = image.architecture
        self.function = function
        self.sp = image.architecture.stack_pointer
        self.states: dict[int, State] = {}
        self.lowered: dict[int, int] = {}
        self.pending: list[int] = []
        self.calls: dict[tuple[int, int | None], Call] = {}
        self.tables: list[State] = []

    def run(self) -> None:
        self.arrive(self.function.start, {self.sp: 0})
        while True:
            while self.pending:
                self.visit(self.pending.pop())
            if not self.tables or not self._blocks_of_tables():
                break
        self.function.calls = list(self.calls.values())

    def _blocks_of_tables(self) -> bool:
        """Arrives at a block that only a jump table can lead to, with the lowest stack pointer of the tables."""
        state = min(self.tables, key=lambda s: s.get(self.sp, 0))
        before: Instruction | None = None
        for address in range(self.function.start, self.function.end):
            instruction = self.image.instructions.get(address)
            if instruction is None:
                continue
            if before is not None and address not in self.states and self.ends(before):
                self.arrive(address, state)
                return True
            before = instruction
        return False

    def ends(self, instruction: Instruction) -> bool:
        """Whether code never goes on behind an instruction."""
        flow, target = self.architecture.flow(instruction)
        return flow in (Flow.JUMP, Flow.JUMP_INDIRECT, Flow.STOP) or (
            flow is Flow.CALL and target in self.image.no_return
        )

    def arrive(self, address: int, state: State) -> None:
        """Code at an address may run with a state: what is not the same as on another way there is not known there."""
        old = self.states.get(address)
        if old is None:
            self.states[address] = state
            self.pending.append(address)
            return
        merged = {r: old[r] for r in old if state.get(r) == old[r]}
        pointers = [s[self.sp] for s in (old, state) if self.sp in s]
        if pointers:
            merged[self.sp] = min(pointers)
        if merged != old:
            self.lowered[address] = self.lowered.get(address, 0) + 1
            if self.lowered[address] > LOWERED_AT_MOST:
                raise ImageError(f"{self.where(address)}: the stack grows in a loop")
            self.states[address] = merged
            self.pending.append(address)

    def note(self, address: int, depth: int | None, target: int | None) -> None:
        self.calls[address, target] = Call(address, depth, target)

    def where(self, address: int) -> str:
        return f"{self.image.name}: {self.function.name} at {address:#x}"

    def visit(self, address: int) -> None:
        instruction = self.image.instructions.get(address)
        if instruction is None:
            raise ImageError(f"{self.where(address)}: code goes on where there is none")
        state = self.states[address]
        self.image.visited.add(address)
        after = self.architecture.step(instruction, state)
        depth = -state[self.sp] if self.sp in state else None
        if self.sp in after:
            self.function.frame = max(self.function.frame, -after[self.sp])
        elif self.function.compiled:
            raise ImageError(
                f"{self.where(address)}: what `{instruction}` does to the stack pointer cannot be followed"
            )
        if self.architecture.enables_interrupts(instruction):
            self.function.enables_interrupts = True
        flow, target = self.architecture.flow(instruction)
        if target in self.image.thunks:
            self.function.frame = max(self.function.frame, (depth or 0) + 2 * self.architecture.return_address)
            flow, target = Flow.CALL_INDIRECT if flow is Flow.CALL else Flow.JUMP_INDIRECT, None
        if flow in (Flow.CALL, Flow.CALL_INDIRECT):
            pushed = None if depth is None else depth + self.architecture.return_address
            self.note(address, pushed, target)
            if target in self.image.no_return:
                return
        elif flow in (Flow.JUMP, Flow.BRANCH):
            assert target is not None
            own = target == self.function.start or target in self.image.patches
            if target in self.image.functions and not own:
                self.note(address, depth, target)
            else:
                self.arrive(target, after)
        elif flow is Flow.JUMP_INDIRECT:
            block = [
                self.image.instructions[a] for a in range(address - 64, address + 1) if a in self.image.instructions
            ]
            if self.architecture.flow(instruction)[1] is None and self.architecture.table_jump(block):
                self.tables.append(after)
            else:
                self.note(address, depth, None)
        if flow in (Flow.NEXT, Flow.BRANCH, Flow.CALL, Flow.CALL_INDIRECT):
            if instruction.end < self.end_behind(address):
                self.arrive(instruction.end, after)
            else:
                self.falls_through(instruction, after)

    def end_behind(self, address: int) -> int:
        """Of the function, or of what the linker has moved out of it."""
        place = self.image.function_at(address)
        return place.end if place.start in self.image.patches else self.function.end

    def falls_through(self, instruction: Instruction, after: State) -> None:
        """Assembly goes on with what stands behind its label; compiled code may end with a call that never returns."""
        if self.function.compiled and self.architecture.flow(instruction)[0] in (Flow.CALL, Flow.CALL_INDIRECT):
            return
        if self.function.compiled:
            raise ImageError(f"{self.where(instruction.address)}: the function has no end")
        if instruction.end in self.image.functions:
            depth = -after[self.sp] if self.sp in after else None
            self.note(instruction.address, depth, instruction.end)
