"""Self-test of unmapping while other CPUs look.

The boot CPU maps memory, unmaps it, and maps other memory at the same addresses, over and over, while every CPU reads
there. What a look finds is held against what stood there at its time: the mark of the page that is mapped, or a fault
when none is. A look during a change may find the old or the new; one behind it never what stood there before. Pages
beside a window always fault.

The windows are of several shapes, so that single pages, many pages and blocks are forgotten, and so that a block comes
where a table was and the other way round.
"""

from hv.arch import code_address, cpu_id, direct_address, now, poll_interrupts, relax
from hv.common.kernel.cpus import online
from hv.common.kernel.recovery import Expected, faults, next_line_faults
from hv.common.kernel.selftest import LONGEST, Share, check, fail, on_all_cpus, selftests, skip
from hv.common.kernel.time import Ns
from hv.common.mm.heap import heap
from hv.common.mm.types import PAGE_SHIFT, Mfn, paddr_of
from hv.common.mm.windows import DATA, windows
from hv.lang import (
    Atomic,
    Bits,
    Errno,
    Field,
    Final,
    PerCpu,
    array,
    bounded,
    ptr,
    raises,
    u32,
    u64,
    unbounded,
    value,
)

ROUNDS: Final = 20
ORDER: Final[u32] = 10  # of each of the two blocks of memory
BLOCK_PAGES: Final[u64] = 1 << 10
LOOKS: Final[u32] = 6  # that every CPU takes at what stands still before it changes
CHANGING: Final[u64] = 1  # added to the stage that is left
END: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF


@value
class Shape:
    """Of a window: which pages of a block it shows."""

    first: u64
    pages: u64


SHAPES: Final[array[Shape, 5]] = array(Shape(0, 1), Shape(5, 3), Shape(7, 40), Shape(0, 514), Shape(100, 600))


class Place(Bits[u64]):
    """Where a window is: both in one word, so that whoever looks during a change never looks beyond it."""

    pages = Field(11, 0)
    page = Field(63, 12)  # the number of its first


class Scene:
    """`stage` counts what stood at `place` by twos: nothing, the first block, nothing, the second, and again."""

    stage: Atomic[u64]
    place: Atomic[u64]  # of the window, as `Place`; changed in a stage of change
    first: u64  # of the block's pages, that the window shows; changed with it
    blocks: array[Mfn, 2]
    director: u32  # the CPU that maps and unmaps
    until: Ns


class Visitor(PerCpu):
    """A CPU that looks."""

    seen: Atomic[u64]  # the stage that it has looked at often enough
    stage: u64  # that it looks at
    looks: u32  # at that, while it stood still
    at: u64
    found: u64
    seed: u64

    def random(self, below: u64) -> u64:
        """xorshift64 (Marsaglia 2003)."""
        self.seed ^= self.seed << 13
        self.seed ^= self.seed >> 7
        self.seed ^= self.seed << 17
        return (self.seed >> 32) % below


scene: Final = Scene()


@selftests.entry(name="unmap")
def unmap_under_touch() -> None:
    """Once a window is unmapped no CPU sees what it showed, nor finds it in the next one at its addresses."""
    free = heap.free_frames
    try:
        with heap.allocated(ORDER) as first, heap.allocated(ORDER) as second:
            scene.blocks[0] = first.mfn
            scene.blocks[1] = second.mfn
            for i in range(2):
                mark_pages(u64(i))
            scene.director = cpu_id()
            scene.until = Ns(now() + LONGEST)
            scene.stage.store(0)
            on_all_cpus(watch)
    except Errno as e:
        skip(f"there is no memory for it ({e.name})")
        return
    check(heap.free_frames == free, f"{free} frames were free before, {heap.free_frames} are after")


def mark_pages(block: u64) -> None:
    for page in bounded(BLOCK_PAGES, BLOCK_PAGES):
        ptr[u64](direct_address(paddr_of(Mfn(scene.blocks[block] + page))))[0] = mark(block, page)


def mark(block: u64, page: u64) -> u64:
    return (block + 1) << 32 | page


class Watch(Share):
    def run(self, cpu: u32) -> None:
        Visitor.this().seed = 0x9E37_79B9_7F4A_7C15 * (u64(cpu) + 1)
        if cpu == scene.director:
            direct()
        else:
            watch_until_end()


watch: Final = Watch()


def direct() -> None:
    """The others end with it."""
    for round in range(ROUNDS):
        try:
            if not act(SHAPES[round % len(SHAPES)]):
                break
        except Errno as e:
            fail(f"a window cannot be mapped: {e.name}")
            break
    scene.stage.store(END)


@raises
def act(shape: Shape) -> bool:
    """The four stages of a round. False: some CPU does not look. ENOMEM."""
    first = show(0, shape)
    seen = seen_by_all()
    hide(first)
    if not seen or not seen_by_all():
        return False
    second = show(1, shape)
    check(first == second, f"addresses are not used again: {first:#x}, then {second:#x}")
    seen = seen_by_all()
    hide(second)
    return seen and seen_by_all()


@raises
def show(block: u64, shape: Shape) -> u64:
    stage = scene.stage.add(CHANGING)
    start = paddr_of(Mfn(scene.blocks[block] + shape.first))
    try:
        address = windows.space.map(start, shape.pages << PAGE_SHIFT, DATA)
    except Errno:
        scene.stage.store(stage)
        raise
    scene.first = shape.first
    scene.place.store(Place(pages=shape.pages, page=address >> PAGE_SHIFT).raw)
    scene.stage.store(stage + 2)
    return address


def hide(address: u64) -> None:
    stage = scene.stage.add(CHANGING)
    windows.space.unmap(address)
    scene.stage.store(stage + 2)


@unbounded("ends with the time for it")
def seen_by_all() -> bool:
    stage = scene.stage.load()
    while True:
        look()
        waiting = False
        for cpu in online:
            waiting = waiting or Visitor.on(cpu).seen.load_acquire() != stage
        if not waiting:
            return True
        if now() > scene.until:
            fail(f"some CPU does not look at stage {stage}")
            return False
        pause()


@unbounded("the director comes to the end, whatever happens")
def watch_until_end() -> None:
    while scene.stage.load() != END:
        look()
        pause()


def pause() -> None:
    poll_interrupts()
    relax()


def look() -> None:
    """At some page of the window, or beside it."""
    visitor = Visitor.this()
    before = scene.stage.load()
    place = Place(scene.place.load())
    pages = place.pages
    page = visitor.random(pages + 2) - 1
    visitor.at = place.page + page << PAGE_SHIFT
    first = scene.first
    faulted = faults(touch)
    behind = scene.stage.add(0)  # not a load, which may be done before what was read above
    if behind != before or before % 2 != 0:
        check(faulted or block_of(visitor.found) == block_shown(before), f"stage {before}: {visitor.found:#x} was seen")
        return
    if is_shown(before) and page < pages:
        due = mark(block_shown(before), first + page)
        check(not faulted and visitor.found == due, f"stage {before}: {visitor.found:#x} in place of {due:#x}")
    else:
        check(faulted, f"stage {before}: {visitor.found:#x} was seen where nothing is, page {page} of {pages}")
        check(not faulted or Expected.this().where_due, f"stage {before}: another fault: {Expected.this().words.text}")
    if visitor.stage != before:
        visitor.stage = before
        visitor.looks = 0
    visitor.looks += 1
    if visitor.looks == LOOKS:
        visitor.seen.store_release(before)


def touch() -> None:
    visitor = Visitor.this()
    visitor.found = 0
    next_line_faults(code_address())
    visitor.found = ptr[u64](visitor.at)[0]


def block_of(found: u64) -> u64:
    """Which block a mark is of."""
    return (found >> 32) - 1


def is_shown(stage: u64) -> bool:
    """Of a stage that stands still."""
    return stage // 2 % 2 != 0


def block_shown(stage: u64) -> u64:
    """Which block stands there now, or will next; in a change, the one that comes or goes."""
    return stage // 4 % 2
