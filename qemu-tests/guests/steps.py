"""Single-stepping over what the hypervisor does in a guest's place (Arm DDI 0487, D2.12): after one instruction,
however it was done, comes one exception, at the next.
"""

from guests.attempts import RET, STEP, Attempts, attempts, codes, written
from guests.lib import uart
from guests.lib.controller import DISTRIBUTOR
from guests.lib.cpu import cpu
from guests.lib.exceptions import Syndrome, TrapFrame, handlers
from guests.lib.gicv2 import TYPER
from guests.lib.hypercall import PSCI_VERSION
from guests.verdict import expect
from hv.lang import Final, SystemRegister, address_of, array, u32, u64

MDSCR_EL1: Final = SystemRegister("mdscr_el1")
STEPPING: Final[u64] = 1 << 0 | 1 << 13  # SS; KDE: at EL1 as well
SOFTWARE_STEP: Final[u64] = 1 << 21  # PSTATE
DEBUG_MASK: Final[u64] = 1 << 9

CALL: Final[u32] = 0xD400_0001  # svc #0, whose handler begins the step
NOP: Final[u32] = 0xD503_201F

INSTRUCTIONS: Final[array[u32, 12]] = array(
    NOP,
    0xB9400000,  # ldr w0, [x0]
    0x39400000,  # ldrb w0, [x0]
    0xB9000001,  # str w1, [x0]
    0xD5380400,  # mrs x0, id_aa64pfr0_el1
    0xD5380020,  # mrs x0, s3_0_c0_c0_1
    0xD5300080,  # mrs x0, dbgbvr0_el1
    0xD5100080,  # msr dbgbvr0_el1, x0
    0xD53BE220,  # mrs x0, cntp_ctl_el0
    0xD503205F,  # wfe
    0xD4000002,  # hvc #0
    0xD4000003,  # smc #0
)


class Steps:
    """Of the last attempt."""

    count: u64
    pc: u64  # at the first


steps: Final = Steps()


def step_over_all() -> None:
    me = attempts[0]
    for instruction in INSTRUCTIONS:
        step_over(me, instruction, DISTRIBUTOR + TYPER)
    step_over(me, INSTRUCTIONS[1], uart.FLAGS)
    step_over(me, INSTRUCTIONS[3], uart.INTERRUPT_CLEAR)
    step_over(me, INSTRUCTIONS[10], PSCI_VERSION)
    step_over(me, INSTRUCTIONS[11], PSCI_VERSION)


def step_over(me: Attempts, instruction: u32, operand: u64) -> None:
    code = codes[0]
    code.words[0] = CALL
    code.words[1] = instruction
    for i in range(2, 6):
        code.words[i] = NOP
    code.words[6] = RET
    written()
    steps.count = 0
    me.stepping = True
    me.call(address_of(code), operand, 0)
    me.stepping = False
    if not me.caught:
        expect("steps over", u64(instruction), steps.count, 1)
        expect("place after a step over", u64(instruction), steps.pc - address_of(code), 8)


@handlers.entry()
def take_step(frame: TrapFrame) -> bool:
    if not attempts[cpu()].stepping:
        return False
    if Syndrome(frame.syndrome).kind == STEP:
        if steps.count == 0:
            steps.pc = frame.pc
        steps.count += 1
        MDSCR_EL1.write(0)
        frame.pstate = frame.pstate & ~SOFTWARE_STEP | DEBUG_MASK
    else:
        MDSCR_EL1.write(STEPPING)
        frame.pstate = frame.pstate & ~DEBUG_MASK | SOFTWARE_STEP
    return True
