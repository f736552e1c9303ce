"""What this hypervisor says that it is (public/version.h)."""

from hv.common.control.handle import read_guest, write_guest
from hv.common.control.hypercall import XEN_VERSION, Words, failed, plain
from hv.common.control.version import ABI_MAJOR, ABI_MINOR, EXTRA_VERSION
from hv.common.mm.types import PAGE_SIZE
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, abi, address_of, array, bounded, i64, raises, size_of, truncate, u8, u32, u64

EXTRA_BYTES: Final = 16
AUTO_TRANSLATED: Final[u32] = 1 << 2  # public/features.h: XENFEAT_auto_translated_physmap
SUPERVISOR_MODE: Final[u32] = 1 << 3


class Offered:
    """What the architecture offers besides, of the same word; set at boot."""

    features: u32


offered: Final = Offered()


@abi("xen/version.h", "xen_feature_info_t")
class FeatureInfo:
    submap_idx: u32
    submap: u32


class ExtraVersion:
    bytes: array[u8, EXTRA_BYTES]


@plain(XEN_VERSION)
def xen_version(caller: Vcpu, words: Words) -> i64:
    """`first` is what is asked for, `second` where the answer goes if it is no number."""
    try:
        match truncate(u32, words.first):
            case 0:
                return i64(ABI_MAJOR << 16 | ABI_MINOR)
            case 1:
                extra_version(caller, words.second)
                return 0
            case 6:
                features(caller, words.second)
                return 0
            case 7:
                return PAGE_SIZE
            case _:
                return failed(Errno.ENOSYS)
    except Errno as e:
        return -i64(e.code)


@raises
def extra_version(caller: Vcpu, address: u64) -> None:
    """EFAULT."""
    answer = ExtraVersion()
    for i in bounded(len(EXTRA_VERSION), EXTRA_BYTES - 1):
        answer.bytes[i] = ord(EXTRA_VERSION[i])
    write_guest(caller, address, address_of(answer), EXTRA_BYTES)


@raises
def features(caller: Vcpu, address: u64) -> None:
    """EFAULT. EINVAL: there is but one word of features."""
    request = FeatureInfo()
    read_guest(caller, address, address_of(request), size_of(FeatureInfo))
    if request.submap_idx != 0:
        raise Errno.EINVAL
    request.submap = AUTO_TRANSLATED | SUPERVISOR_MODE | offered.features
    write_guest(caller, address, address_of(request), size_of(FeatureInfo))
