"""Memory as table walkers see it: a store is seen only after a barrier, and, when the walker does not snoop, after a
clean of its cache line. Where stores are ordered, as on x86, each is seen at once."""

from hv.common.mm.types import Paddr
from hv.lang import Final, Iterator, address_of, array, bounded, ptr, u32, u64
from hv.sim.memory import RAM_BASE, RAM_BYTES, Arena, paddr_at
from hv.sim.violations import Violation, violations

MAX_STORES: Final[u32] = 16384
LINE: Final[u64] = 16  # bytes: the smallest that the architecture allows


class Store:
    address: u64
    length: u64
    cleaned: bool


class Visibility:
    snoops: bool
    ordered: bool
    drop_publish: bool  # the knobs that take a part of the protocol away
    drop_clean: bool
    barriers: u64
    stores: array[Store, MAX_STORES]  # not all of them seen yet
    count: u32
    seeing: u32  # the store that the walker comes to see just now

    def forget(self) -> None:
        self.count = 0
        self.barriers = 0

    def stored(self, address: u64, length: u64) -> None:
        """A CPU has written to RAM, in whole words."""
        if self.count == MAX_STORES:
            violations.found(Violation.FULL, address)
            return
        store = self.stores[self.count]
        store.address = address
        store.length = length
        store.cleaned = False
        self.count += 1

    def clean(self, address: u64, length: u64) -> None:
        """Cleans a range of RAM to memory, by lines."""
        start = address & ~(LINE - 1)
        end = address + length + LINE - 1 & ~(LINE - 1)
        for i in bounded(self.count, MAX_STORES):
            store = self.stores[i]
            if store.address >= start and store.address + store.length <= end:
                store.cleaned = True

    def arriving(self) -> Iterator[u64]:
        """A barrier: the address of each word that was stored before and reaches the walker. `arrived` comes next."""
        self.barriers += 1
        for i in bounded(self.count, MAX_STORES):
            if self._reaches(self.stores[i]):
                self.seeing = i
                for word in bounded(self.stores[i].length // 8, RAM_BYTES):
                    yield self.stores[i].address + u64(word) * 8

    def arrived(self) -> None:
        kept: u32 = 0
        for i in bounded(self.count, MAX_STORES):
            store = self.stores[i]
            if not self._reaches(store):
                self.stores[kept].address = store.address
                self.stores[kept].length = store.length
                self.stores[kept].cleaned = False
                kept += 1
        self.count = kept

    def unseen_before(self, address: u64, length: u64) -> bool:
        """Whether some of these bytes were written to before the store that is being seen, no barrier between."""
        for i in bounded(self.seeing, MAX_STORES):
            if overlap(self.stores[i].address, self.stores[i].length, address, length):
                return True
        return False

    def _reaches(self, store: Store) -> bool:
        return self.snoops or store.cleaned


visibility: Final = Visibility()
seen: Final = Arena()


def seen_at(at: Paddr) -> u64:
    """Where the walker's view of a byte of RAM is kept."""
    assert at - RAM_BASE < RAM_BYTES, "the walker leaves simulated memory"
    return address_of(seen) + (at - RAM_BASE)


def seen_entry(table: Paddr, index: u64) -> u64:
    return ptr[u64](seen_at(table))[index]


def see(address: u64) -> tuple[u64, u64]:
    """Shows a word of RAM to the walker. Returns what it saw there before, and what now."""
    word = ptr[u64](seen_at(paddr_at(address)))
    before = word[0]
    after = ptr[u64](address)[0]
    word[0] = after
    return before, after


def overlap(a: u64, a_length: u64, b: u64, b_length: u64) -> bool:
    return a < b + b_length and b < a + a_length
