"""Starting CPUs that the boot loader left waiting (Linux Documentation/arch/arm64/booting.rst, 4).

A waiting CPU, its MMU off, looks at the word that its node names, and goes to the address that it finds there. Several
may share a word. So all are sent to the pen in boot/arm64/entry.S, which each leaves when the pen names it: until then
it touches nothing else. Words that CPUs read with their MMU off have to be in memory, beyond the caches.
"""

from hv.arch import clean_to_memory
from hv.arm64.cpu import send_event, store_word
from hv.arm64.layout import pen, pen_entry
from hv.common.mm.types import Paddr
from hv.common.mm.windows import DATA, windows
from hv.lang import Final, raises, u32, u64

WORD: Final[u64] = 8
AT_AFFINITY: Final[u64] = 0
AT_NUMBER: Final[u64] = 8
NOBODY: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF


@raises
def release(cpu: u32, affinity: u64, word: Paddr) -> None:
    """Lets one CPU come to `boot_secondary`, by its place in the machine. The word may lie outside what the tree
    describes as RAM. EINVAL, ENOMEM: it cannot be mapped."""
    address = windows.space.map(word, WORD, DATA)
    publish(pen() + AT_AFFINITY, NOBODY)
    publish(pen() + AT_NUMBER, u64(cpu))
    publish(pen() + AT_AFFINITY, affinity)
    publish(address, pen_entry())
    windows.unmap(address)
    send_event()


def publish(address: u64, value: u64) -> None:
    """Returns when the word is in memory."""
    store_word(address, value)
    clean_to_memory(address, WORD)
