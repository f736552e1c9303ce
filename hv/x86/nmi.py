"""Non-maskable interrupts: other CPUs send them to stop one that has interrupts masked, or to learn where it hangs; the
hardware, to report a failure.

An NMI comes at any instruction: locks may be held, and what they protect may be half changed. So the handler takes
none, and looks only at what is written whole. It may take faults, and NMIs meanwhile: boot/x86/vectors.S gives each its
own part of the stack, and what overruns that meets the hole below.

While an NMI waits, further ones are lost. A handler therefore looks for every reason that there may be, and one that
finds none may have come for a reason that an earlier one has seen to.
"""

from hv.common.kernel.cpus import stop_if_asked
from hv.config import CONFIG_SELFTEST, CONFIG_WATCHDOG
from hv.lang import Callable, Final, export, u8, u16
from hv.x86.cpu import in8
from hv.x86.exceptions import FaultFrame

if CONFIG_WATCHDOG:
    from hv.common.kernel.watchdog import confess_at, is_suspected

STATUS: Final[u16] = 0x61  # NMI status and control (Intel 500 Series PCH Datasheet 2, 28.1)
SYSTEM_ERROR: Final[u8] = 1 << 7
CHANNEL_CHECK: Final[u8] = 1 << 6


class Nmis:
    under_test: Callable[[FaultFrame], None] | None  # gets those that nobody else wants, while a self-test sends them


nmis: Final = Nmis()


@export
def nmi_taken(frame: FaultFrame) -> None:
    """Called by the stub. Returns when the interrupted code may go on."""
    stop_if_asked(frame.rip, frame.rbp)
    if CONFIG_WATCHDOG and is_suspected():
        confess_at(frame, frame.rip, frame.rbp)
    if CONFIG_SELFTEST:
        handler = nmis.under_test
        if handler is not None:
            handler(frame)
            return
    status = in8(STATUS)
    frame.end(f"NMI: {reason_in_words(status)}, port 0x61 reads {status:#04x}")


def reason_in_words(status: u8) -> str:
    if status & SYSTEM_ERROR != 0:
        return "the hardware reports a system error (SERR)"
    if status & CHANNEL_CHECK != 0:
        return "the hardware reports an error of a device (IOCHK)"
    return "nobody sent it, and the hardware reports nothing"
