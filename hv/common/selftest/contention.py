"""Self-tests of all CPUs at once: the heap and the pools under contention, and a storm of calls and interrupts."""

from hv.arch import cpu_id, direct_address, poll_interrupts, send_ipi
from hv.common.kernel.cpus import online
from hv.common.kernel.crosscall import call_on, call_others
from hv.common.kernel.selftest import Share, check, on_all_cpus, selftests
from hv.common.kernel.softirq import Softirq, raise_on
from hv.common.mm.heap import heap
from hv.common.mm.pool import Pool
from hv.common.mm.types import PAGE_SIZE, Mfn, paddr_of
from hv.config import CONFIG_NR_CPUS
from hv.lang import Errno, Final, PerCpu, array, ptr, u32, u64

ROUNDS: Final = 400
BLOCKS: Final = 16  # that a CPU holds at once
ORDERS: Final[u32] = 4
CALLS: Final = 200


class Thing:
    owner: u64
    filling: array[u64, 5]


class Block:
    """A block of frames, or an object, that a CPU holds."""

    mfn: Mfn
    order: u32
    mark: u64  # 0: none
    thing: Thing | None


class Blocks(PerCpu):
    blocks: array[Block, BLOCKS]
    seed: u64


things: Final = Pool[Thing]()


def random(below: u32) -> u32:
    """xorshift64 (Marsaglia 2003), for each CPU its own."""
    blocks = Blocks.this()
    blocks.seed ^= blocks.seed << 13
    blocks.seed ^= blocks.seed >> 7
    blocks.seed ^= blocks.seed << 17
    return u32((blocks.seed >> 32) % u64(below))


@selftests.entry(name="heap")
def heap_under_contention() -> None:
    """CPUs take and give back blocks of several sizes, which they mark: nobody else writes there meanwhile, and in the
    end everything has come back.
    """
    free = heap.free_frames
    on_all_cpus(heap_churn)
    check(heap.free_frames == free, f"{free} frames were free before, {heap.free_frames} are after")
    check(things.used == 0, f"{things.used} objects did not come back")


class HeapChurn(Share):
    def run(self, cpu: u32) -> None:
        blocks = Blocks.this()
        blocks.seed = 0x9E37_79B9_7F4A_7C15 * (u64(cpu) + 1)
        for round in range(ROUNDS):
            block = blocks.blocks[random(BLOCKS)]
            if block.mark == 0:
                take(block, u64(cpu) << 32 | u64(round) + 1)
            else:
                give_back(block)
            poll_interrupts()
        for block in blocks.blocks:
            if block.mark != 0:
                give_back(block)


heap_churn: Final = HeapChurn()


def take(block: Block, mark: u64) -> None:
    block.order = random(ORDERS)
    try:
        block.mfn = heap.allocate_zeroed(block.order)
    except Errno:
        return  # others hold it all
    words = ptr[u64](direct_address(paddr_of(block.mfn)))
    last = (u64(PAGE_SIZE) << block.order) // 8 - 1
    check(words[0] == 0 and words[last] == 0, "a cleared block is not clear")
    words[0] = mark
    words[last] = mark
    block.mark = mark
    try:
        thing = things.allocate()
        thing.owner = mark
        block.thing = thing
    except Errno:
        block.thing = None


def give_back(block: Block) -> None:
    words = ptr[u64](direct_address(paddr_of(block.mfn)))
    last = (u64(PAGE_SIZE) << block.order) // 8 - 1
    check(words[0] == block.mark and words[last] == block.mark, "somebody else wrote into a block")
    thing = block.thing
    if thing is not None:
        check(thing.owner == block.mark, "somebody else wrote into an object")
        things.free(thing)
        block.thing = None
    block.mark = 0
    heap.free(block.mfn, block.order)


class Heard(PerCpu):
    calls: array[u64, CONFIG_NR_CPUS]  # from each CPU
    words: u64  # all arguments added up


@selftests.entry(name="calls")
def call_storm() -> None:
    """Every CPU calls every other, one by one and all at once, while all interrupt each other: each call is made once,
    and has been made when it returns.
    """
    for cpu in online:
        heard = Heard.on(cpu)
        for i in range(CONFIG_NR_CPUS):
            heard.calls[i] = 0
    on_all_cpus(storm)
    others = u64(len(online)) - 1
    for cpu in online:
        for caller in online:
            told = Heard.on(cpu).calls[caller]
            due = u64(0) if caller == cpu else u64(2 * CALLS)
            check(told == due, f"CPU {cpu} heard CPU {caller} {told} times, not {due}")
    check(others != 0 or Heard.this().words == 0, "a single CPU heard something")


class CallStorm(Share):
    def run(self, cpu: u32) -> None:
        for _ in range(CALLS):
            call_others(hear, u64(cpu))
            for other in online:
                if other == cpu:
                    continue
                heard = Heard.on(other)
                before = heard.calls[cpu]
                call_on(other, hear, u64(cpu))
                check(heard.calls[cpu] == before + 1, f"a call from CPU {cpu} on CPU {other} returned too soon")
                send_ipi(other)
                raise_on(other, Softirq.WORK)
            poll_interrupts()


storm: Final = CallStorm()


def hear(caller: u64) -> None:
    heard = Heard.this()
    heard.calls[caller] += 1
    heard.words += caller + u64(cpu_id())
