"""Code that may do anything, and coming back from it: an exception ends an attempt, and is kept for who asks."""

from guests.lib.cpu import complete_all, cpu, instruction_barrier
from guests.lib.exceptions import SYNCHRONOUS, Syndrome, TrapFrame, handlers
from hv.lang import Final, address_of, aligned, array, asm, extern, symbol, u32, u64

RET: Final[u32] = 0xD65F_03C0

UNDEFINED: Final[u64] = 0x00  # kinds of exceptions (Arm DDI 0487, ESR_EL1)
FP_TRAP: Final[u64] = 0x07
SUPERVISOR_CALL: Final[u64] = 0x15
INSTRUCTION_ABORT: Final[u64] = 0x21
DATA_ABORT: Final[u64] = 0x25
STEP: Final[u64] = 0x33
NOTHING: Final[u64] = 0x100  # no kind: there was no exception

EXTERNAL: Final[u64] = 0x10  # status of an abort
STATUS: Final[u64] = 0x3F


@aligned(4096)
class Code:
    """Instructions alone in their page: an emulator translates a page anew when it is written to."""

    words: array[u32, 1024]


class Attempts:
    """One CPU's. The last exception is told by its syndrome, the address that it names, and its PC."""

    number: u64
    trying: bool
    stepping: bool  # steps.py takes its own exceptions
    exceptions: u64
    syndrome: u64
    address: u64
    pc: u64
    caught: bool  # in the last attempt

    def call(self, code: u64, a: u64, b: u64) -> u64:
        """Calls it with a in x0 and b in x1; what it leaves in x0, or whatever an exception found there."""
        self.caught = False
        self.trying = True
        result = attempt(code, a, b)
        self.trying = False
        return result

    def run(self, instruction: u32, a: u64, b: u64) -> u64:
        code = codes[self.number]
        code.words[0] = instruction
        code.words[1] = RET
        written()
        return self.call(address_of(code), a, b)

    def kind(self) -> u64:
        """Of the exception that ended the last attempt. NOTHING: none did."""
        return Syndrome(self.syndrome).kind if self.caught else NOTHING


def written() -> None:
    """Instructions have been: they are fetched as they are now."""
    complete_all()
    forget_instructions()
    complete_all()
    instruction_barrier()


codes: Final[array[Code, 2]] = array()
attempts: Final[array[Attempts, 2]] = array()


@handlers.entry()
def survive(frame: TrapFrame) -> bool:
    """An exception in an attempt ends it. A call that is undefined, or a register, is skipped."""
    me = attempts[cpu()]
    kind = Syndrome(frame.syndrome).kind
    if me.stepping and (kind == STEP or kind == SUPERVISOR_CALL):
        return False
    if me.trying:
        me.caught = True
        me.syndrome = frame.syndrome
        me.address = frame.address
        me.pc = frame.pc
        frame.pc = symbol("recover")
    elif frame.vector == SYNCHRONOUS and kind == UNDEFINED:
        frame.pc += 4
    else:
        return False
    me.exceptions += 1
    return True


@asm("ic iallu")
def forget_instructions() -> None: ...


@extern
def attempt(code: u64, a: u64, b: u64) -> u64: ...
