"""Calling a function on other CPUs, and waiting until it has run there.

The caller holds no lock, so no CPU that waits for a lock can be waited for. While it waits it serves calls that others
make to it, so that two CPUs may call each other. A called function runs where an interrupt may: at a CPU's exit from a
guest, in its idle loop, or while it waits for a call of its own; it holds no lock then, and makes no calls itself.

A CPU has one call under way at most, described in its `CallSlot`. `Callers` holds a bit for each CPU that waits for
this one.
"""

from hv.arch import cpu_id, relax, send_ipi
from hv.common.kernel.cpus import online, stop_if_asked
from hv.common.kernel.spinlock import assert_none_held
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Callable, Final, PerCpu, array, trailing_zeros, u32, u64, unbounded

WORDS: Final = (CONFIG_NR_CPUS + 63) // 64


class CallSlot(PerCpu):
    """What this CPU asks of others: written before their bit is set, unchanged until `left` is zero."""

    function: Callable[[u64], None]
    argument: u64
    left: Atomic[u32]


class Callers(PerCpu):
    bits: array[Atomic[u64], WORDS]


def call_on(cpu: u32, function: Callable[[u64], None], argument: u64) -> None:
    """Runs function(argument) on one online CPU, this one included."""
    if cpu == cpu_id():
        function(argument)
        return
    _prepare(function, argument)
    CallSlot.this().left.store(1)
    _ask(cpu)
    _wait()


def call_others(function: Callable[[u64], None], argument: u64) -> None:
    """Runs function(argument) on every other online CPU, on all of them at once."""
    _prepare(function, argument)
    slot = CallSlot.this()
    slot.left.store(0)
    for cpu in online:
        if cpu != cpu_id():
            slot.left.add(1)
            _ask(cpu)
    _wait()


def ipi_received() -> None:
    """For the handler of interrupts between CPUs."""
    stop_if_asked()
    serve_calls()


def serve_calls() -> None:
    """Runs what other CPUs wait for."""
    callers = Callers.this()
    for i in range(WORDS):
        if callers.bits[i].load_relaxed() != 0:
            assert_none_held()
            _serve(i * 64, callers.bits[i].exchange(0))


@unbounded("each step clears a bit")
def _serve(first: u32, callers: u64) -> None:
    left = callers
    while left != 0:
        slot = CallSlot.on(first + trailing_zeros(left))
        slot.function(slot.argument)
        slot.left.sub(1)
        left &= left - 1


def _prepare(function: Callable[[u64], None], argument: u64) -> None:
    assert_none_held()
    slot = CallSlot.this()
    assert slot.left.load() == 0, "a called function makes a call"
    slot.function = function
    slot.argument = argument


def _ask(cpu: u32) -> None:
    Callers.on(cpu).bits[cpu_id() // 64].or_(u64(1) << cpu_id() % 64)
    send_ipi(cpu)


@unbounded(
    "every online CPU takes its interrupt, as none waits for a lock of this CPU's, or serves calls while it waits"
)
def _wait() -> None:
    slot = CallSlot.this()
    while slot.left.load_acquire() != 0:
        serve_calls()
        relax()
