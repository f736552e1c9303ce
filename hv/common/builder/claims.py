"""What of the machine's memory the descriptions claim: modules, memory that is set aside or shared, the static heap.

Held against each other as they are read, and kept from the heap before it begins. What a domain claimed that is then
refused is forgotten.
"""

from hv.common.builder.module import Module
from hv.common.builder.shares import MAX_REGIONS
from hv.common.mm.early import early
from hv.common.mm.set_aside import MAX_RANGES
from hv.common.mm.types import Paddr
from hv.common.model.domain import MAX_DOMAINS
from hv.lang import Final, U8Enum, array, bounded, raises, u32, value

MODULES: Final = 3  # of one domain: a kernel, a ramdisk and a partial tree
MAX_HEAP: Final[u32] = 16  # ranges of the static heap
MAX_CLAIMS: Final = (MODULES + MAX_RANGES) * MAX_DOMAINS + MAX_HEAP + MAX_REGIONS


class ClaimKind(U8Enum):
    MODULE = 0
    MEMORY = 1
    HEAP = 2
    SHARED = 3


@value
class Claim:
    """Bytes start … end - 1."""

    kind: ClaimKind
    start: Paddr
    end: Paddr
    owner: str  # the node that makes it; of shared memory, its name

    @property
    def what(self) -> str:
        """In words, before "of" and the owner."""
        if self.kind == ClaimKind.MODULE:
            return "a module"
        if self.kind == ClaimKind.SHARED:
            return "the shared memory"
        return "the memory" if self.kind == ClaimKind.MEMORY else "the static heap"


class Claims:
    table: array[Claim, MAX_CLAIMS]
    count: u32

    def find(self, start: Paddr, end: Paddr) -> u32:
        """The first that has some of these bytes; `count`: none."""
        for i in bounded(self.count, MAX_CLAIMS):
            if self.table[i].start < end and start < self.table[i].end:
                return i
        return self.count

    def add(self, kind: ClaimKind, start: Paddr, end: Paddr, owner: str) -> None:
        """No domain makes more claims than there is room for."""
        self.table[self.count] = Claim(kind, start, end, owner)
        self.count += 1

    def add_module(self, module: Module, owner: str) -> bool:
        """One may serve several domains. False: it overlaps what it is not."""
        for i in bounded(self.count, MAX_CLAIMS):
            other = self.table[i]
            if other.kind == ClaimKind.MODULE and other.start == module.start and other.end == module.end:
                return True
        if self.find(module.start, module.end) != self.count:
            return False
        self.add(ClaimKind.MODULE, module.start, module.end, owner)
        return True

    @raises
    def reserve(self) -> None:
        """Keeps all from the heap, but what is to be the heap. ENOSPC: memory is too scattered."""
        for i in bounded(self.count, MAX_CLAIMS):
            claim = self.table[i]
            if claim.kind != ClaimKind.HEAP:
                early.reserve(claim.start, claim.end)


claims: Final = Claims()
