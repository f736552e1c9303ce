"""The image's machine code as the proofs read it: where each instruction goes on, what it does to the stack pointer,
and whether it touches floating-point or vector registers. One class for each architecture.

The stack pointer is followed as an offset from what it was at a function's first instruction, where an x86 return
address has been pushed already. A state maps registers to such offsets; a register that holds something else is absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import capstone

State = dict[str, int]


class Flow(Enum):
    """How control leaves an instruction."""

    NEXT = 0
    BRANCH = 1  # to the target or to the next
    JUMP = 2
    JUMP_INDIRECT = 3
    CALL = 4
    CALL_INDIRECT = 5
    STOP = 6  # a return, a trap


@dataclass(frozen=True, slots=True)
class Instruction:
    address: int
    size: int
    mnemonic: str
    operands: str

    @property
    def end(self) -> int:
        return self.address + self.size

    def __str__(self) -> str:
        return f"{self.mnemonic} {self.operands}".strip()


class Architecture(Protocol):
    stack_pointer: str
    return_address: int  # bytes that a call pushes
    data_is_marked: bool  # data between code has mapping symbols

    def decode(self, code: bytes, address: int) -> Iterator[Instruction]: ...

    def flow(self, instruction: Instruction) -> tuple[Flow, int | None]:
        """The flow, and the target when the instruction names it."""
        ...

    def step(self, instruction: Instruction, state: State) -> State:
        """The state behind an instruction; of a call, when it has returned."""
        ...

    def vector(self, instruction: Instruction) -> bool:
        """Whether it uses floating-point or vector registers, or their control registers."""
        ...

    def enables_interrupts(self, instruction: Instruction) -> bool:
        """Whether interrupts may be taken behind it. A saved state that is restored enables nothing new."""
        ...

    def table_jump(self, before: list[Instruction]) -> bool:
        """Whether the indirect jump at the end of the list goes through a table of the function's own blocks."""
        ...


def _decode(engine: capstone.Cs, code: bytes, address: int) -> Iterator[Instruction]:
    """All of the code; a byte or word that is no instruction comes as the mnemonic `.byte`."""
    for start, size, mnemonic, operands in engine.disasm_lite(code, address):
        yield Instruction(start, size, mnemonic, operands)


def _number(text: str) -> int:
    return int(text.replace(" ", ""), 0)


def aligned_down(offset: int, mask: int) -> int:
    """The lowest that an offset can be when the low bits of the address are cleared by a mask of 64 bits."""
    return offset - ((1 << 64) - (mask % (1 << 64)) - 1)


class Arm64:
    """Arm DDI 0487, A64."""

    stack_pointer = "sp"
    return_address = 0
    data_is_marked = True

    CONDITIONAL = re.compile(r"b\.\w+|bc\.\w+|cbn?z|tbn?z")
    VECTOR = re.compile(r"\b(?:[vqdshbz](?:[12]?\d|3[01])|p(?:1[0-5]|\d)(?=[./])|fpcr|fpsr|ffr|za)\b")
    WRITEBACK = re.compile(r"\[sp, #(-?\w+)\]!|\[sp\], #(-?\w+)")
    ADDED = re.compile(r"(\w+), (\w+), #(-?\w+)(?:, lsl #(\w+))?$")
    MOVED = re.compile(r"(\w+), (\w+)$")
    DESTINATIONS = re.compile(r"(\w+)(?:, (\w+))?")
    NO_RESULT = re.compile(r"st\w+|cmp|cmn|tst|ccmp|ccmn|msr|prfm|dc|ic|at|tlbi|isb|dsb|dmb|nop|hint|b|bl|blr|ret|br")

    def __init__(self) -> None:
        self.engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
        self.engine.skipdata = True

    def decode(self, code: bytes, address: int) -> Iterator[Instruction]:
        return _decode(self.engine, code, address)

    def flow(self, instruction: Instruction) -> tuple[Flow, int | None]:
        name = instruction.mnemonic
        if name in ("b", "bl"):
            return Flow.JUMP if name == "b" else Flow.CALL, _number(instruction.operands.lstrip("#"))
        if self.CONDITIONAL.fullmatch(name):
            return Flow.BRANCH, _number(instruction.operands.rpartition("#")[2])
        if name.startswith("blr"):
            return Flow.CALL_INDIRECT, None
        if name.startswith("br") and name != "brk":
            return Flow.JUMP_INDIRECT, None
        if name.startswith(("ret", "eret")) or name in ("brk", "udf", "hlt", ".byte"):
            return Flow.STOP, None
        return Flow.NEXT, None

    def step(self, instruction: Instruction, state: State) -> State:
        name, operands = instruction.mnemonic, instruction.operands
        if name in ("bl", "blr"):
            return {r: offset for r, offset in state.items() if r in ("sp", "x29")}
        if "sp" not in operands and not any(r in operands for r in state):
            return state
        after = dict(state)
        found = self.WRITEBACK.search(operands)
        if found and "sp" in state:
            after["sp"] = state["sp"] + _number(found[1] or found[2])
        if found or name.startswith(("ld", "st")):
            if name.startswith("ld"):
                for register in re.findall(r"\w+", operands.partition("[")[0]):
                    after.pop(register, None)
            return after
        if self.NO_RESULT.fullmatch(name):
            return after
        changed = self._changed(name, operands, state)
        destination = self.DESTINATIONS.match(operands)
        if changed is not None:
            after[changed[0]] = changed[1]
        elif destination:
            after.pop(destination[1].replace("w", "x", 1) if destination[1].startswith("w") else destination[1], None)
        return after

    def _changed(self, name: str, operands: str, state: State) -> tuple[str, int] | None:
        """The register that gets a known offset, and the offset."""
        found = self.ADDED.fullmatch(operands)
        if found and found[2] in state:
            amount = _number(found[3]) << (_number(found[4]) if found[4] else 0)
            if name == "add":
                return found[1], state[found[2]] + amount
            if name == "sub":
                return found[1], state[found[2]] - amount
            if name == "and":
                return found[1], aligned_down(state[found[2]], amount)
        found = self.MOVED.fullmatch(operands)
        if found and name == "mov" and found[2] in state:
            return found[1], state[found[2]]
        return None

    def vector(self, instruction: Instruction) -> bool:
        return bool(self.VECTOR.search(instruction.operands))

    def enables_interrupts(self, instruction: Instruction) -> bool:
        name, _, value = instruction.operands.partition(", #")
        return instruction.mnemonic == "msr" and name == "daifclr" and bool(_number(value) & 2)

    def table_jump(self, before: list[Instruction]) -> bool:
        """`add x, base, entry` makes the address from a table's offset; a pointer to a function is loaded."""
        register = before[-1].operands
        for instruction in reversed(before[:-1]):
            if instruction.operands.startswith(register + ","):
                return instruction.mnemonic == "add"
        return False


class X86:
    """Intel SDM, 64-bit mode."""

    stack_pointer = "rsp"
    return_address = 8
    data_is_marked = False

    VECTOR = re.compile(r"\b(?:[xyz]mm\d+|mm[0-7]|st(?:\(\d\))?|k[0-7]|tmm[0-7]|fpcr)\b")
    VECTOR_NAMES = re.compile(r"f\w+|emms|v?(?:ld|st)mxcsr|vzero\w+|xsave\w*|xrstor\w*")
    ELEMENT = re.compile(r"\[(?:(\w+) \+ )?\w+\*8(?: [+-] \w+)?\]")
    TRAP = bytes.fromhex("670fb940")  # and a byte
    STOPS = re.compile(r"ret\w*|iret\w*|sysret\w*|sysexit\w*|ud\d\w*|int3|\.byte")
    ADDED = re.compile(r"(\w+), (-?\w+)$")
    ADDRESS = re.compile(r"(\w+), \[(\w+)(?: ([+-]) (\w+))?\]$")

    def __init__(self) -> None:
        self.engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.engine.skipdata = True

    def decode(self, code: bytes, address: int) -> Iterator[Instruction]:
        """Capstone takes UD1 for an instruction without operands: clang's traps have `ud1l number(%eax), %eax`."""
        done = 0
        while (trap := code.find(self.TRAP, done)) >= 0:
            yield from _decode(self.engine, code[done:trap], address + done)
            yield Instruction(
                address + trap, len(self.TRAP) + 1, "ud1", f"eax, [eax + {code[trap + 4 : trap + 5].hex()}]"
            )
            done = trap + len(self.TRAP) + 1
        yield from _decode(self.engine, code[done:], address + done)

    def flow(self, instruction: Instruction) -> tuple[Flow, int | None]:
        name = instruction.mnemonic.rpartition(" ")[2]  # behind prefixes such as notrack
        direct = instruction.operands.startswith("0x")
        if name == "jmp":
            return (Flow.JUMP, _number(instruction.operands)) if direct else (Flow.JUMP_INDIRECT, None)
        if name == "call":
            return (Flow.CALL, _number(instruction.operands)) if direct else (Flow.CALL_INDIRECT, None)
        if (name.startswith("j") or name.startswith("loop")) and direct:
            return Flow.BRANCH, _number(instruction.operands)
        if self.STOPS.fullmatch(name):
            return Flow.STOP, None
        return Flow.NEXT, None

    def step(self, instruction: Instruction, state: State) -> State:
        name, operands = instruction.mnemonic, instruction.operands
        if name == "call":
            return {r: offset for r, offset in state.items() if r in ("rsp", "rbp", "rbx", "r12", "r13", "r14", "r15")}
        after = dict(state)
        if "rsp" in state:
            if name.startswith("push"):
                after["rsp"] = state["rsp"] - 8
                return after
            if name.startswith("pop") and name != "popcnt":
                after.pop(operands, None)
                after["rsp"] = state["rsp"] + 8
                return after
        if name == "leave":
            after.pop("rsp", None)
            if "rbp" in state:
                after["rsp"] = state["rbp"] + 8
            after.pop("rbp", None)
            return after
        destination = operands.partition(",")[0]
        if destination not in state and not (name in ("mov", "lea") and operands.partition(", ")[2]):
            return state
        if name in ("cmp", "test", "bt"):
            return state
        changed = self._changed(name, operands, state)
        if changed is not None:
            after[destination] = changed
        else:
            after.pop(destination, None)
        return after

    def _changed(self, name: str, operands: str, state: State) -> int | None:
        """The known offset that the first operand gets."""
        found = self.ADDED.fullmatch(operands)
        if found and name in ("add", "sub", "and") and found[1] in state and not found[2][0].isalpha():
            amount = _number(found[2])
            if name == "and":
                return aligned_down(state[found[1]], amount)
            signed = amount - (1 << 64) if amount >> 63 else amount
            return state[found[1]] + (signed if name == "add" else -signed)
        if found and name == "mov":
            return state.get(found[2])
        found = self.ADDRESS.fullmatch(operands)
        if found and name == "lea" and found[2] in state and not (found[4] or "0")[0].isalpha():
            amount = _number(found[4]) if found[4] else 0
            return state[found[2]] + (amount if found[3] == "+" else -amount)
        return None

    def vector(self, instruction: Instruction) -> bool:
        return bool(self.VECTOR.search(instruction.operands) or self.VECTOR_NAMES.fullmatch(instruction.mnemonic))

    def enables_interrupts(self, instruction: Instruction) -> bool:
        return instruction.mnemonic == "sti"

    def table_jump(self, before: list[Instruction]) -> bool:
        """A jump to base + offset, or through an element of a table at a constant address; a pointer to a function is
        loaded from anywhere else.
        """
        operands, earlier = before[-1].operands, before[:-1]
        while "[" not in operands:
            places = [i for i, e in enumerate(earlier) if e.operands.startswith(operands + ",")]
            if not places:
                return False
            found = earlier[places[-1]]
            if found.mnemonic != "mov":
                return found.mnemonic == "add"
            operands, earlier = found.operands.partition(", ")[2], earlier[: places[-1]]
        element = self.ELEMENT.search(operands)
        if element is None:
            return False
        bases = [e for e in earlier if e.operands.startswith(f"{element[1]},")]
        return element[1] is None or (bool(bases) and "rip" in bases[-1].operands)


ARCHITECTURES: dict[str, type[Arm64] | type[X86]] = {"EM_AARCH64": Arm64, "EM_X86_64": X86}
