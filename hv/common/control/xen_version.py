"""What this hypervisor says that it is (public/version.h).

Texts go out as arrays of a size that the interface fixes, filled up with zeros. What concerns the hypervisor's owner
alone is not told: where Xen has a text for that, it is the same.
"""

from hv.common.control.handle import read_guest, write_guest, write_long
from hv.common.control.hypercall import XEN_VERSION, Words, failed, plain
from hv.common.control.version import ABI_MAJOR, ABI_MINOR, EXTRA_VERSION
from hv.common.mm.types import PAGE_SIZE
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, abi, address_of, array, bounded, i64, raises, rarely, size_of, truncate, u8, u32, u64

EXTRA_BYTES: Final[u64] = 16
CAPABILITIES_BYTES: Final[u64] = 1024
CHANGESET_BYTES: Final[u64] = 64
COMMAND_LINE_BYTES: Final[u64] = 1024
HANDLE_BYTES: Final[u64] = 16
COMPILED_BYTES: Final[u64] = 144  # of all four texts
ROOM: Final = 1024
UNKNOWN: Final = "unavailable"
DENIED: Final = "<denied>"
VIRTUAL_START: Final[u64] = 0xFFFF_8000_0000_0000  # where a PV guest would find the hypervisor
AUTO_TRANSLATED: Final[u32] = 1 << 2  # public/features.h: XENFEAT_auto_translated_physmap
SUPERVISOR_MODE: Final[u32] = 1 << 3


class Offered:
    """What the architecture offers besides; set at boot."""

    features: u32  # of the same word
    capabilities: str  # kinds of guests: each name ends with a space


offered: Final = Offered()


@abi("xen/version.h", "xen_feature_info_t")
class FeatureInfo:
    submap_idx: u32
    submap: u32


class Text:
    bytes: array[u8, ROOM]


@plain(XEN_VERSION)
def xen_version(caller: Vcpu, words: Words) -> i64:
    """`first` is what is asked for, `second` where the answer goes if it is no number. EPERM: it is not for this
    guest to know. EFAULT. ENOSYS: nothing of the kind is known.
    """
    try:
        return answer(caller, truncate(u32, words.first), words.second)
    except Errno as e:
        return -i64(e.code)


@raises
def answer(caller: Vcpu, question: u32, to: u64) -> i64:
    match question:
        case 0:
            return i64(ABI_MAJOR << 16 | ABI_MINOR)
        case 1:
            put_text(caller, to, EXTRA_VERSION, EXTRA_BYTES)
        case 2:
            put_text(caller, to, "clang", COMPILED_BYTES)
        case 3:
            put_text(caller, to, offered.capabilities, CAPABILITIES_BYTES)
        case 4:
            put_text(caller, to, UNKNOWN, CHANGESET_BYTES)
        case 5:
            write_long(caller, to, 0, VIRTUAL_START)
        case 6:
            features(caller, to)
        case 7:
            return PAGE_SIZE
        case 8:
            put_text(caller, to, "", HANDLE_BYTES)
        case 9:
            put_text(caller, to, DENIED, COMMAND_LINE_BYTES)
        case 10:
            raise Errno.EPERM
        case _:
            return failed(Errno.ENOSYS)
    return 0


@rarely
@raises
def put_text(caller: Vcpu, to: u64, text: str, bytes: u64) -> None:
    """EFAULT."""
    room = Text()
    for i in bounded(len(text), ROOM - 1):
        room.bytes[i] = ord(text[i])
    write_guest(caller, to, address_of(room), bytes)


@rarely
@raises
def features(caller: Vcpu, address: u64) -> None:
    """EFAULT. EINVAL: there is but one word of features."""
    request = FeatureInfo()
    read_guest(caller, address, address_of(request), size_of(FeatureInfo))
    if request.submap_idx != 0:
        raise Errno.EINVAL
    request.submap = AUTO_TRANSLATED | SUPERVISOR_MODE | offered.features
    write_guest(caller, address, address_of(request), size_of(FeatureInfo))
