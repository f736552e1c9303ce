"""What was printed, kept so that tools can read it later: the console's last bytes, with indices as Xen's have them.

Every byte has an index, counted from the first that was ever printed, modulo 2**32. The ring holds those from `oldest`
to before `end`, at most as many as it has room for; clearing moves `oldest` on. A reader remembers the index behind
what it has read and goes on from there: it sees each byte once, but those that newer ones took the place of meanwhile.

The console's lock protects it.
Source: public/sysctl.h: XEN_SYSCTL_readconsole.
"""

from hv.common.lib.format import Sink
from hv.lang import Const, Generic, TypeVar, address_of, array, bounded, embedded, str_at, truncate, u8, u32, u64

N = TypeVar("N", bound=int)


@embedded
class LogRing(Generic[N], Sink):
    """The last N bytes; N is a power of two."""

    capacity: Const[N]
    bytes: array[u8, N]
    oldest: u32
    end: u32

    def put(self, text: str) -> None:
        assert self.capacity & self.capacity - 1 == 0, "a log's capacity is a power of two"
        for i in bounded(len(text), 1 << 32):
            self.bytes[self.end % self.capacity] = ord(text[i])
            self.end += 1
            if self.end - self.oldest > self.capacity:
                self.oldest = self.end - self.capacity

    def begin(self, index: u32, incremental: bool) -> u32:
        """Where a reader begins: with the oldest byte, or incrementally at the index that it was left with. One that
        names no byte that is here, since it was overwritten or never came, begins with the oldest.
        """
        if incremental and index - self.oldest <= self.end - self.oldest:
            return index
        return self.oldest

    def piece(self, index: u32, most: u32) -> str:
        """Up to `most` bytes from an index that `begin` gave, as far as they lie together; nothing at the end. Two
        pieces are all that there is. A reference to the ring itself: valid while the lock is held.
        """
        assert index - self.oldest <= self.end - self.oldest, "a log is read where it has nothing"
        at = index % self.capacity
        together = min(self.end - index, truncate(u32, self.capacity) - at)
        return str_at(address_of(self.bytes) + u64(at), u64(min(most, together)))

    def clear(self, until: u32) -> None:
        """Forgets what was read: all before `until`, as far as it is still here."""
        if until - self.oldest <= self.end - self.oldest:
            self.oldest = until
