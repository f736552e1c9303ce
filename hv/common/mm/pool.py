"""Pools of objects of one class, cleared when they are handed out.

A pool takes slabs from the heap: a header, then as many objects as fit in the smallest block that holds one. A slab
whose last object comes back goes back to the heap. The lock protects the slabs and the chains of free objects in them.

Debug builds fill a free object with a pattern. They panic when it has changed by the time the object is handed out
again, and when an object that comes back consists of it.
"""

from hv.arch import direct_address, physical_address, zero_bytes
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.mm.heap import heap
from hv.common.mm.types import PAGE_SIZE, Paddr, mfn_of, order_for, paddr_of
from hv.config import CONFIG_DEBUG
from hv.lang import Final, Generic, TypeVar, address_of, bounded, ptr, raises, size_of, u32, u64

T = TypeVar("T")

ALIGNMENT: Final[u64] = 16
POISON: Final[u64] = 0x5A5A_5A5A_5A5A_5A5A
MAX_OBJECTS: Final[u32] = PAGE_SIZE // 16  # in a slab
MAX_WORDS: Final[u64] = 1 << 20  # of an object, in a debug build


class Slab:
    """The header of a block of objects. Slabs with a free object are on the pool's list."""

    next: "Slab | None"
    previous: "Slab | None"
    used: u32
    free: u64  # address of the first free object, whose first word is the address of the next one; 0 ends the chain


HEADER: Final[u64] = 64  # bytes before the first object of a slab: a cache line


class Pool(Generic[T]):
    lock: SpinLock[Rank.POOL]
    first: Slab | None
    used: u32  # objects handed out

    @raises
    def allocate(self) -> T:
        """A cleared object. ENOMEM: the heap has no block for another slab."""
        with self.lock as held:
            slab = self.first
            if slab is None:
                slab = self._new_slab(held)
            address = slab.free
            slab.free = ptr[u64](address)[0]
            slab.used += 1
            self.used += 1
            if slab.free == 0:
                self._unlink(held, slab)
        if CONFIG_DEBUG:
            assert self._is_poison(address), "object written to after it was freed"
        zero_bytes(address, size_of(T))
        return ptr[T](address).ref()

    def free(self, x: T) -> None:
        """Takes an object back, which nobody refers to any more."""
        address = address_of(x)
        if CONFIG_DEBUG:
            assert not self._is_poison(address), "object freed twice"
            self._poison(address)
        with self.lock as held:
            block = Paddr(physical_address(address) & ~((u64(PAGE_SIZE) << self.order) - 1))
            slab = ptr[Slab](direct_address(block)).ref()
            assert slab.used != 0, "object freed that its pool never gave"
            if slab.free == 0:
                self._link(held, slab)
            ptr[u64](address)[0] = slab.free
            slab.free = address
            slab.used -= 1
            self.used -= 1
            if slab.used == 0:
                self._unlink(held, slab)
                heap.free(mfn_of(block), self.order)

    @property
    def stride(self) -> u64:
        return (u64(size_of(T)) + (ALIGNMENT - 1)) & ~(ALIGNMENT - 1)

    @property
    def order(self) -> u32:
        """Of a slab's block."""
        return order_for(HEADER + self.stride)

    @property
    def objects_per_slab(self) -> u32:
        return u32(((u64(PAGE_SIZE) << self.order) - HEADER) // self.stride)

    @raises
    def _new_slab(self, held: Held[Rank.POOL]) -> Slab:
        """A slab whose objects are all free, on the list."""
        start = direct_address(paddr_of(heap.allocate(self.order)))
        slab = ptr[Slab](start).ref()
        slab.used = 0
        slab.free = 0
        for i in bounded(self.objects_per_slab, MAX_OBJECTS):
            address = start + HEADER + u64(i) * self.stride
            if CONFIG_DEBUG:
                self._poison(address)
            ptr[u64](address)[0] = slab.free
            slab.free = address
        self._link(held, slab)
        return slab

    def _link(self, held: Held[Rank.POOL], slab: Slab) -> None:
        after = self.first
        slab.next = after
        slab.previous = None
        if after is not None:
            after.previous = slab
        self.first = slab

    def _unlink(self, held: Held[Rank.POOL], slab: Slab) -> None:
        after = slab.next
        before = slab.previous
        if after is not None:
            after.previous = before
        if before is None:
            self.first = after
        else:
            before.next = after

    def _poison(self, address: u64) -> None:
        """Fills a free object, but for the first word, which links it."""
        words = ptr[u64](address)
        for i in bounded(1, self.stride // 8, MAX_WORDS):
            words[i] = POISON

    def _is_poison(self, address: u64) -> bool:
        words = ptr[u64](address)
        for i in bounded(1, self.stride // 8, MAX_WORDS):
            if words[i] != POISON:
                return False
        return True
