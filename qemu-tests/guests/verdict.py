"""What the hostile unikernel has to say against the hypervisor: an answer that the architecture does not allow, or what
others left behind. Both are lines, and ends.
"""

from guests.lib.gic import gic
from guests.lib.hypercall import power_off
from guests.lib.text import line
from guests.lib.uart import uart
from hv.lang import Final, Message, Never, u64

LINES: Final[u64] = 20  # about wrong answers: the first tell enough


class Verdict:
    wrong: u64


verdict: Final = Verdict()


def expect(what: str, where: u64, found: u64, expected: u64) -> None:
    """`where`: an address, a register or a function's number."""
    if found != expected:
        complain(f"wrong: {what} {where:#x} is {found:#x}, not {expected:#x}")


def complain(message: Message) -> None:
    verdict.wrong += 1
    if verdict.wrong <= LINES:
        uart.init()
        line(message)


def leak(where: str) -> Never:
    recover_devices()
    line(f"leak {where}")
    line("DONE hostile fail leak")
    power_off()


def conclude() -> None:
    """Ends it when there were wrong answers so far."""
    recover_devices()
    if verdict.wrong != 0:
        line("DONE hostile fail wrong")
        power_off()


def recover_devices() -> None:
    """What all CPUs share, from whatever was written to it."""
    uart.init()
    gic.init()
