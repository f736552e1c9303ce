"""Faults that are expected: a self-test makes one on purpose, learns what the panic would have said, and goes on.

`faults(function)` calls a function that is to fault, on this CPU. The panic that comes of it ends here: it leaves its
words and the place in Python, and the CPU goes on behind the call. Locks that the function took stay taken; the record
of them is put back. Other panics are what they always are, also those of other CPUs meanwhile.

A function says which line is to fault by `next_line_faults(code_address())` on the line before.
"""

from hv.arch import catch_fault, resume_after_fault
from hv.common.kernel.spinlock import HeldRanks
from hv.common.kernel.symbols import Place, place_of
from hv.common.lib.text import TextBuffer
from hv.lang import Callable, Final, Message, PerCpu, u64

WORDS: Final = 160  # bytes of a panic's first line that are kept

under_test: str = ""  # the self-test that runs; a panic that nobody expects ends it


class Expected(PerCpu):
    armed: bool
    due: Place  # the line before the one that is to fault
    words: TextBuffer[WORDS]
    place: Place  # what faulted

    @property
    def where_due(self) -> bool:
        """Whether it was the line behind `due`."""
        return self.place.file == self.due.file and self.due.line != 0 and self.place.line == self.due.line + 1


def faults(function: Callable[[], None]) -> bool:
    """False: it came back without a fault."""
    expected = Expected.this()
    assert not expected.armed, "a fault is expected while one is expected"
    expected.words.clear()
    expected.due = Place("", 0)
    expected.place = Place("", 0)
    held = HeldRanks.this().bits
    expected.armed = True
    faulted = catch_fault(function)
    expected.armed = False
    HeldRanks.this().bits = held
    return faulted


def next_line_faults(address: u64) -> None:
    Expected.this().due = place_of(address - 1)


def divert(message: Message, pc: u64) -> None:
    """For a panic, before it does anything: when it was expected, it ends here. `pc` is the instruction to blame."""
    expected = Expected.this()
    if not expected.armed:
        return
    expected.armed = False
    expected.words.write(message)
    expected.place = place_of(pc)
    resume_after_fault()


def set_under_test(name: str) -> None:
    global under_test
    under_test = name
