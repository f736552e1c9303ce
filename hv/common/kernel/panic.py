"""The end of a hypervisor that found itself in a state it should not be in.

A panic prints its reason, the registers that its caller hands over, a backtrace in Python file and line, that of each
other CPU which had to be stopped in the middle of something, and each CPU's last trace records, then restarts the
machine, or halts it when the command line says `noreboot`. It takes no lock and needs no clock: it may come at any
time. Only the first panic prints; one that happens meanwhile on another CPU halts that CPU.
"""

from hv.arch import cpu_id, frame_pointer, halt, on_stack, power_off, restart
from hv.common.kernel.console import console
from hv.common.kernel.cpus import Cpu, online, stop_here, stop_others
from hv.common.kernel.options import options
from hv.common.kernel.symbols import place_of
from hv.common.lib.parse import boolean
from hv.config import CONFIG_NR_CPUS, CONFIG_SELFTEST, CONFIG_TRACE
from hv.lang import Atomic, Errno, Final, Message, Never, Protocol, ptr, u32, u64

if CONFIG_SELFTEST:
    from hv.common.kernel import recovery
if CONFIG_TRACE:
    from hv.common.kernel.trace_text import RecordText
    from hv.common.kernel.tracer import Tracer

MAX_FRAMES: Final = 32
TRACED: Final[u32] = 8  # records of each CPU that are printed

panicking: Final = Atomic[u32]()
stay_down: bool = False


class MachineState(Protocol):
    """What the architecture knows of the moment of a trap."""

    def print(self) -> None:
        """Prints the registers, line by line, with `panic.line`."""
        ...


def panic(message: Message) -> Never:
    if CONFIG_SELFTEST:
        recovery.divert(message, _caller(frame_pointer()))
    _begin()
    line(message)
    _print_backtrace(frame_pointer())
    _end()


def assertion_failed(text: str) -> Never:
    """What a failed `assert` calls; the text begins with its file and line."""
    if CONFIG_SELFTEST:
        recovery.divert(f"{text}", _caller(frame_pointer()))
    _begin()
    line(f"{text}")
    _print_backtrace(frame_pointer())
    _end()


def trapped(message: Message, state: MachineState, pc: u64, frame: u64, link: u64 = 0) -> Never:
    """A trap in the hypervisor's own code, at `pc` with the frame record at `frame`. `link` is where `pc`'s function
    returns to when it has no frame record, as small stubs in assembly; 0: it has one.
    """
    if CONFIG_SELFTEST:
        recovery.divert(message, pc if link == 0 else link - 1)
    _begin()
    line(message)
    state.print()
    _print_place(pc, 0)
    if link != 0:
        _print_place(link, 1)
    _print_backtrace(frame)
    _end()


def panic_about(message: Message, state: MachineState) -> Never:
    """A panic for a reason that lies elsewhere, which `state` prints: where this CPU is does not count."""
    _begin()
    line(message)
    state.print()
    _end()


def line(message: Message) -> None:
    """A line of a panic."""
    console.print_anyway(message)


def _begin() -> None:
    before = panicking.exchange(1)
    if before != 0:
        stop_here()
    stop_others()
    line(f"PANIC on CPU {cpu_id()}")


def _end() -> Never:
    _print_others()
    if CONFIG_TRACE:
        _print_trace()
    if CONFIG_SELFTEST and recovery.under_test != "":
        line(f"DONE selftest fail {recovery.under_test}: PANIC")
        power_off()
    if stay_down:
        line("halted")
        halt()
    line("restarting")
    restart()


def _print_others() -> None:
    """CPUs that were not at rest."""
    for cpu in online:
        other = Cpu.on(cpu)
        if other.stopped.load_acquire() != 0:
            if other.pc != 0:
                line(f"CPU {cpu} was stopped with interrupts masked:")
                _print_place(other.pc, 0)
                _print_backtrace(other.frame)
        elif cpu != cpu_id():
            line(f"CPU {cpu} does not stop")


if CONFIG_TRACE:

    def _print_trace() -> None:
        """What each CPU recorded last. One that did not stop may change a record meanwhile: then it tells nonsense."""
        text = RecordText()
        for cpu in range(CONFIG_NR_CPUS):
            tracer = Tracer.on(cpu)
            if tracer.recorded != 0:
                line(f"last records of CPU {cpu}:")
                for record in tracer.last(TRACED):
                    line(f"  {text.write(record)}")


def _caller(frame: u64) -> u64:
    """The call that made the frame."""
    return ptr[u64](frame)[1] - 1 if on_stack(frame) else 0


def _print_backtrace(frame: u64) -> None:
    """Walks the frame records: each is the outer record's address and the address that the function returns to."""
    at = frame
    for _ in range(MAX_FRAMES):
        if not on_stack(at):
            return
        record = ptr[u64](at)
        _print_place(record[1], 1)
        if record[0] <= at:  # outer frames lie higher
            return
        at = record[0]


def _print_place(address: u64, back: u64) -> None:
    """`back` is 1 for an address that is returned to: the call stands before it."""
    place = place_of(address - back)
    if place.line == 0:
        line(f"  {address:#x}")
    else:
        line(f"  {address:#x} {place.file}:{place.line}")


@options.entry(name="noreboot")
def noreboot(text: str) -> bool:
    global stay_down
    try:
        stay_down = boolean(text)
    except Errno:
        return False
    return True
