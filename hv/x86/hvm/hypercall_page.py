"""The page of hypercalls that a guest asks for: at n * 32 bytes stands what makes hypercall n (public/arch-x86/cpuid.h,
leaf 40000002H; Xen, docs/misc/hypercalls of HVM guests).
"""

from hv.common.mm.guest_copy import copy_to_guest
from hv.common.mm.types import PAGE_SIZE, Gaddr
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, address_of, array, raises, u32, u64

ENTRIES: Final = 128
IRET: Final = 23  # of PV guests alone
WORDS: Final = 8  # of 32 bits, in an entry
PAGE_NUMBER: Final[u64] = PAGE_SIZE - 1

MOVE: Final[u32] = 0xB8  # mov $n, %eax, over five bytes
CALL: Final[u32] = 0xD9_010F  # vmmcall
RETURN: Final[u32] = 0xC3
NOTHING: Final[u32] = 0xCCCC_CCCC
UNDEFINED: Final[u32] = 0xCCCC_0B0F


class Page:
    words: array[u32, 1024]

    def fill(self) -> None:
        for entry in range(ENTRIES):
            first = u32(entry) * WORDS
            for i in range(WORDS):
                self.words[first + u32(i)] = NOTHING
            if entry == IRET:
                self.words[first] = UNDEFINED
            else:
                self.words[first] = MOVE | u32(entry) << 8
                self.words[first + 1] = CALL << 8
                self.words[first + 2] = RETURN | NOTHING << 8


page: Final = Page()


@raises
def install_page(vcpu: Vcpu, value: u64) -> None:
    """Copies it to the page whose address was written; the bits below are its number. EPERM: there is but one page, or
    the guest has no memory there.
    """
    if value & PAGE_NUMBER != 0:
        raise Errno.EPERM
    try:
        copy_to_guest(DomainMemory.of(vcpu.domain).p2m, Gaddr(value), address_of(page.words), PAGE_SIZE)
    except Errno:
        raise Errno.EPERM from None
