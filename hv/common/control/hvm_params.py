"""Numbers that a domain and who set it up tell each other: hvm_op's parameters (public/hvm/params.h).

Which of them a guest may read and set for itself is as in Xen (hvm_allow_get_param, hvm_allow_set_param).
"""

from hv.common.control.domid import must_be_own
from hv.common.control.hypercall import HVM_OP, answering, hypercall
from hv.common.mm.types import DomId
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import Atomic, Callable, Errno, Extension, Final, Registry, abi, array, raises, u16, u32, u64, value

PARAMS: Final = 39
CALLBACK_IRQ: Final[u32] = 0
STORE_PFN: Final[u32] = 1
STORE_EVTCHN: Final[u32] = 2
CONSOLE_PFN: Final[u32] = 17
CONSOLE_EVTCHN: Final[u32] = 18


class HvmParams(Extension[Domain]):
    values: array[Atomic[u64], PARAMS]

    def set(self, index: u32, value: u64) -> None:
        self.values[index].store(value)


@value
class ParamChange:
    """What else is done when a guest sets a parameter of its own. EINVAL: it cannot have this value."""

    index: u32
    told: Callable[[Vcpu, u64], bool]


changes: Final = Registry[ParamChange]()


@abi("xen/hvm/hvm_op.h", "xen_hvm_param_t")
class HvmParam:
    domid: DomId
    pad: u16
    index: u32
    value: u64


@hypercall(HVM_OP, sub=0)
@raises
def set_param(caller: Vcpu, request: HvmParam) -> u64:
    """EINVAL: there is no such parameter, or it cannot have this value. EPERM: another domain's, or one that is not for
    the guest to set.
    """
    if request.index >= PARAMS:
        raise Errno.EINVAL
    must_be_own(caller, request.domid)
    if request.index not in (CALLBACK_IRQ, STORE_EVTCHN, CONSOLE_EVTCHN):
        raise Errno.EPERM
    for change in changes:
        if change.index == request.index and not change.told(caller, request.value):
            raise Errno.EINVAL
    HvmParams.of(caller.domain).values[request.index].store(request.value)
    return 0


@answering(HVM_OP, sub=1)
@raises
def get_param(caller: Vcpu, request: HvmParam) -> u64:
    """EINVAL: there is no such parameter. EPERM: another domain's, or one that is not for the guest to read."""
    if request.index >= PARAMS:
        raise Errno.EINVAL
    must_be_own(caller, request.domid)
    if request.index not in (CALLBACK_IRQ, STORE_PFN, STORE_EVTCHN, CONSOLE_PFN, CONSOLE_EVTCHN):
        raise Errno.EPERM
    request.value = HvmParams.of(caller.domain).values[request.index].load()
    return 0
