"""Several hypercalls in one: multicall (public/xen.h).

The list is gone through in order; each entry gets its answer. One that has to stop half way, or the list when it takes
long, is gone on with when the guest makes the call again: progress is in the words, and in the entry's arguments.
"""

from hv.arch import elapsed, ticks
from hv.common.control.handle import read_request, write_long, write_request
from hv.common.control.hypercall import AGAIN, STRETCH, Words, call, failed
from hv.common.kernel.softirq import softirqs_pending
from hv.common.kernel.time import Ticks
from hv.common.model.vcpu import Vcpu, architecture
from hv.lang import (
    Compat,
    Errno,
    Final,
    Long,
    abi,
    apart,
    array,
    i64,
    raises,
    size_of,
    truncate,
    u32,
    u64,
    unbounded,
)

MULTICALL: Final[u32] = 13
RESULT: Final[u64] = 1  # the place of the answer among an entry's longs


@abi("xen/xen.h", "multicall_entry_t")
class MulticallEntry:
    op: Long[u64]
    result: Long[u64]
    args: array[Long[u64], 6]


def perform(caller: Vcpu, number: u32, words: Words) -> i64:
    """Any hypercall."""
    if number != MULTICALL:
        return call(caller, number, words)
    try:
        return multicall(caller, words)
    except Errno as e:
        return -i64(e.code)


@apart
@raises
@unbounded("each round does one of the entries that are left")
def multicall(caller: Vcpu, words: Words) -> i64:
    """`first` is where the list lies, `second` how many there are. EFAULT."""
    bytes: u64 = size_of(Compat[MulticallEntry]) if architecture.vcpus.is_narrow(caller) else size_of(MulticallEntry)
    left = truncate(u32, words.second)
    since = ticks()
    entry = MulticallEntry()
    own = Words()
    while left != 0:
        read_request(caller, words.first, entry)
        own.first = entry.args[0]
        own.second = entry.args[1]
        own.third = entry.args[2]
        own.fourth = entry.args[3]
        own.fifth = entry.args[4]
        number = truncate(u32, entry.op)
        result = failed(Errno.EINVAL) if number == MULTICALL else call(caller, number, own)
        if result == AGAIN:
            entry.args[0] = own.first
            entry.args[1] = own.second
            entry.args[2] = own.third
            entry.args[3] = own.fourth
            entry.args[4] = own.fifth
            write_request(caller, words.first, entry)
            return AGAIN
        write_answer(caller, words.first, result)
        left -= 1
        words.first += bytes
        words.second = u64(left)
        if left != 0 and (softirqs_pending() or elapsed(Ticks(ticks() - since)) >= STRETCH):
            return AGAIN
    return 0


@raises
def write_answer(caller: Vcpu, entry: u64, answer: i64) -> None:
    """Narrow longs have the lower half of it. EFAULT."""
    value = truncate(u64, answer)
    if architecture.vcpus.is_narrow(caller):
        value &= 0xFFFF_FFFF
    write_long(caller, entry, RESULT, value)
