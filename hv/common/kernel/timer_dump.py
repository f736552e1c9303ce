"""Debug key `a`: each CPU's timers, in the order of their deadlines, and what is called then.

A CPU's queue is copied under its lock, then printed. The lock is only attempted, since a CPU that is stuck may hold it.
"""

from hv.arch import now
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.symbols import write_place
from hv.common.kernel.time import Ns
from hv.common.kernel.timer import Timers
from hv.common.kernel.work import Progress
from hv.common.lib.text import TextBuffer
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, address_of, array, i64, ptr, u32, u64, value

TEXT: Final = 96
COPIED: Final[u32] = 64  # timers of a CPU that are shown


@value
class Row:
    deadline: Ns
    function: u64  # its address


class Copy:
    """Of one CPU's queue."""

    rows: array[Row, COPIED]
    length: u32  # of the queue
    at: Ns
    locked: bool

    def take(self, cpu: u32) -> None:
        timers = Timers.on(cpu)
        self.at = now()
        self.length = 0
        with timers.lock.attempt() as attempt:
            self.locked = attempt.won
            if attempt.won:
                for timer in timers.queue:
                    if self.length < COPIED:
                        # An interface is the object and its table, whose first row is `expired`.
                        table = ptr[u64](address_of(timer.owner))[1]
                        self.rows[self.length] = Row(timer.deadline, ptr[u64](table)[0])
                    self.length += 1


copy: Final = Copy()


@keys.entry(character="a", help="shows the timers", shows=True)
def show_timers(output: Output) -> Progress:
    cpu = online.next_from(output.row)
    if cpu == CONFIG_NR_CPUS:
        return Progress.DONE
    if output.part == 0:
        copy.take(cpu)
        show_cpu(cpu)
    else:
        show_timer(copy.rows[output.part - 1])
    output.part += 1
    if output.part > min(copy.length, COPIED):
        output.row = cpu + 1
        output.part = 0
    return Progress.MORE


def show_cpu(cpu: u32) -> None:
    if not copy.locked:
        console.print(f"CPU {cpu}: its timers are locked for long")
    elif copy.length > COPIED:
        console.print(f"CPU {cpu}: {copy.length} timers, of which the first {COPIED} are shown, at {copy.at} ns")
    else:
        console.print(f"CPU {cpu}: {copy.length} timers, at {copy.at} ns")


def show_timer(row: Row) -> None:
    left = i64(row.deadline) - i64(copy.at)
    text = TextBuffer[TEXT]()
    write_place(text, row.function)
    console.print(f"  in {left} ns: {text.text}")
