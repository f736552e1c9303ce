"""Self-tests of faults: each kind ends in a panic that names the Python line, and says what it was."""

from hv.arch import code_address, stack_bottom
from hv.common.kernel.rank import Rank
from hv.common.kernel.recovery import Expected, faults, next_line_faults
from hv.common.kernel.selftest import check, selftests, skip
from hv.common.kernel.spinlock import SpinLock
from hv.config import CONFIG_DEBUG
from hv.lang import Callable, Final, address_of, array, ptr, symbol, u8, u64


class Table:
    entries: array[u64, 4]


class Code:
    """A function's address that leads to what is no code."""

    call: Callable[[u64], None]


class Word:
    """Laid out as `Code` is."""

    target: u64


class Owner:
    table: Table  # nobody sets it


class Locks:
    low: SpinLock[Rank.HEAP]
    high: SpinLock[Rank.TIMER]


table: Final = Table()
word: Final = Word()
locks: Final = Locks()
owner: Final = Owner()


def expect(function: Callable[[], None], what: str) -> None:
    """That the function faults, at the line that it says."""
    expected = Expected.this()
    if not faults(function):
        check(False, f"{what}: no fault")
        return
    check(
        expected.where_due,
        f"{what}: {expected.words.text} at {expected.place.file}:{expected.place.line}, not in the line behind "
        f"{expected.due.file}:{expected.due.line}",
    )


@selftests.entry(name="guard-page")
def guard_page() -> None:
    """Below a stack nothing is mapped."""
    expect(write_below_stack, "write below the stack")
    expect(read_below_stack, "read below the stack")


def write_below_stack() -> None:
    next_line_faults(code_address())
    ptr[u64](stack_bottom() - 8)[0] = table.entries[0]


def read_below_stack() -> None:
    next_line_faults(code_address())
    table.entries[0] = ptr[u64](stack_bottom() - 8)[0]


@selftests.entry(name="wx")
def write_or_execute() -> None:
    """Code and constants are not written, and data are not executed."""
    expect(write_code, "write to code")
    expect(write_constants, "write to constants")
    word.target = address_of(table)
    expect(execute_data, "execution of data")


def write_code() -> None:
    next_line_faults(code_address())
    ptr[u64](symbol("__text_start"))[0] = table.entries[0]


def write_constants() -> None:
    next_line_faults(code_address())
    ptr[u64](symbol("__lines_start"))[0] = table.entries[0]


def execute_data() -> None:
    code = ptr[Code](address_of(word)).ref()
    next_line_faults(code_address())
    code.call(0)
    table.entries[0] = 0  # behind it, so that the call is one that returns here


@selftests.entry(name="bound")
def bound() -> None:
    """Checks that the compiler puts in: an array's bound, the range of a conversion, an assertion."""
    table.entries[0] = 0
    expect(write_behind_array, "write behind an array")
    expect(convert_too_much, "conversion of a number too large")
    expect(assert_falsehood, "failed assertion")


def write_behind_array() -> None:
    next_line_faults(code_address())
    table.entries[4 + table.entries[0]] = 1


def convert_too_much() -> None:
    next_line_faults(code_address())
    table.entries[1] = u64(u8(table.entries[0] + 256))


def assert_falsehood() -> None:
    next_line_faults(code_address())
    assert table.entries[0] == 1, "on purpose"


@selftests.entry(name="unset")
def unset() -> None:
    """Nothing is mapped where a reference leads that nobody has set."""
    expect(read_unset, "read through an unset reference")
    expect(write_unset, "write through an unset reference")
    check(names(Expected.this().words.text, "through a reference that nobody has set"), "what it was is not told")


def read_unset() -> None:
    next_line_faults(code_address())
    table.entries[0] = owner.table.entries[3]


def write_unset() -> None:
    next_line_faults(code_address())
    owner.table.entries[2] = 1


@selftests.entry(name="lock-rank")
def lock_rank() -> None:
    """A lock taken out of order is a panic, in the line that takes it or in the lock's own."""
    if not CONFIG_DEBUG:
        skip("only debug builds check the order of locks")
        return
    faulted = faults(take_out_of_order)
    words = Expected.this().words.text
    check(faulted and names(words, "out of rank order"), f"locks out of order: {words}")
    with locks.low:
        table.entries[0] = 0  # the record of what is held is as before: nothing


def take_out_of_order() -> None:
    with locks.high, locks.low:
        table.entries[0] = 1


def names(text: str, part: str) -> bool:
    """Whether the text ends with the part."""
    return len(text) >= len(part) and text[len(text) - len(part) :] == part
