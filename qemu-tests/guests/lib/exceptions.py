"""Exceptions: what entry.S stores of the moment, and who may take it.

A unikernel adds a handler to `handlers` when it expects exceptions; one that nobody takes ends it with a line that
begins with DONE and tells of a failure.
"""

from guests.lib.ending import give_up
from guests.lib.gic import take_interrupt
from hv.lang import Bits, Callable, Field, Final, Registry, array, assembly_layout, export, u64, value

SYNCHRONOUS: Final = 4  # vectors: EL1 with its own stack (Arm DDI 0487, D1.10.2)
INTERRUPT: Final = 5


class Syndrome(Bits[u64]):
    """ESR_EL1 (Arm DDI 0487, D19.2.37)."""

    iss = Field(24, 0)
    kind = Field(31, 26)


@assembly_layout
class TrapFrame:
    """All registers of the moment; a handler may change them. `vector` is the entry's number in the table."""

    x: array[u64, 31]
    pc: u64
    pstate: u64
    syndrome: u64
    address: u64
    vector: u64


@value
class Handler:
    """`take` tells whether the exception is dealt with."""

    take: Callable[[TrapFrame], bool]


handlers: Final = Registry[Handler]()


@export
def guest_exception(frame: TrapFrame) -> None:
    if frame.vector == INTERRUPT:
        take_interrupt()
        return
    for handler in handlers:
        if handler.take(frame):
            return
    give_up(f"vector {frame.vector} pc {frame.pc:#x} syndrome {frame.syndrome:#x} address {frame.address:#x}")
