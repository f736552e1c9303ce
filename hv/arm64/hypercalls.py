"""Xen's hypercalls: HVC #0xEA1 with the number in X16, its words and the answer from X0 on (public/arch-arm.h).

There are those of the scheduler: yield, block, shutdown, watchdog. Guests of this architecture have no event channels.
"""

from hv.arm64.context import VcpuContext
from hv.common.control import sched_op  # noqa: F401 (a registry)
from hv.common.control.hypercall import AGAIN, NUMBERS, Words, call, directory
from hv.common.model.vcpu import Vcpu
from hv.lang import Final, truncate, u32, u64

NUMBER: Final = 16  # its register
INSTRUCTION: Final[u64] = 4


def start_hypercalls() -> None:
    directory.fill()


def hypercall(vcpu: Vcpu, context: VcpuContext) -> None:
    """The guest's PC is behind it already."""
    words = Words()
    words.first = context.x[0]
    words.second = context.x[1]
    words.third = context.x[2]
    words.fourth = context.x[3]
    words.fifth = context.x[4]
    answer = call(vcpu, truncate(u32, min(context.x[NUMBER], u64(NUMBERS))), words)
    if answer == AGAIN:
        context.x[0] = words.first
        context.x[1] = words.second
        context.x[2] = words.third
        context.x[3] = words.fourth
        context.x[4] = words.fifth
        context.pc -= INSTRUCTION
    else:
        context.x[0] = truncate(u64, answer)
