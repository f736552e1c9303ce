"""A small structure in a guest's memory that the hypervisor writes by itself, whenever what it says changes.

Where it lies was told by a virtual address, which is looked up once: the frames are held, and stay the structure's
whatever the guest's tables say later.
"""

from hv.arch import copy_bytes, direct_address
from hv.common.comm.vcpu_info import hold_writable
from hv.common.mm.guest_copy import page_rest
from hv.common.mm.ownership import put_frame
from hv.common.mm.types import PAGE_SIZE, Gaddr, Mfn, gfn_of, paddr_of
from hv.common.model.vcpu import Vcpu, architecture
from hv.lang import Errno, array, raises, u64


class GuestArea:
    """At most a page, so it lies in two frames at most. Whoever owns it serialises its use."""

    bytes: u64  # 0: there is none
    split: u64  # so many lie in the first frame
    frames: array[Mfn, 2]
    offset: u64  # in the first frame

    @raises
    def take(self, caller: Vcpu, address: u64, bytes: u64) -> None:
        """Of an area that is empty. EFAULT: the caller cannot write all of it, or it is not memory of its own."""
        split = min(bytes, page_rest(address))
        first = architecture.vcpus.translate(caller, address, True)
        second = first
        if split < bytes:
            second = architecture.vcpus.translate(caller, address + split, True)
        self.frames[0] = hold(caller, first)
        if split < bytes:
            try:
                self.frames[1] = hold(caller, second)
            except Errno:
                put_frame(self.frames[0])
                raise
        self.offset = address % PAGE_SIZE
        self.split = split
        self.bytes = bytes

    def exchange(self, other: "GuestArea") -> None:
        """Each is what the other was."""
        self.bytes, other.bytes = other.bytes, self.bytes
        self.split, other.split = other.split, self.split
        self.offset, other.offset = other.offset, self.offset
        for i in range(2):
            self.frames[i], other.frames[i] = other.frames[i], self.frames[i]

    def release(self) -> None:
        if self.bytes != 0:
            put_frame(self.frames[0])
            if self.split < self.bytes:
                put_frame(self.frames[1])
            self.bytes = 0

    def write(self, offset: u64, source: u64, bytes: u64) -> None:
        """From mapped memory at `source`. Nothing, if there is no area."""
        if self.bytes == 0:
            return
        assert offset + bytes <= self.bytes, "a guest's area is written beyond its end"
        first = min(bytes, self.split - min(offset, self.split))
        if first != 0:
            copy_bytes(direct_address(paddr_of(self.frames[0])) + self.offset + offset, source, first)
        if first < bytes:
            rest = offset + first - self.split
            copy_bytes(direct_address(paddr_of(self.frames[1])) + rest, source + first, bytes - first)


@raises
def hold(caller: Vcpu, address: Gaddr) -> Mfn:
    try:
        return hold_writable(caller, gfn_of(address))
    except Errno:
        raise Errno.EFAULT from None
