"""How a vCPU is interrupted for its events: by a vector of its domain's, or through its local APIC by one of its own.

The domain's vector passes the local APIC by: it is taken before whatever waits there, holds nothing back, and needs no
end of interrupt, which costs a way through the hypervisor. It is pending as long as the vCPU's `evtchn_upcall_pending`
is set.

Sources: public/hvm/params.h (HVM_PARAM_CALLBACK_IRQ), public/hvm/hvm_op.h (HVMOP_set_evtchn_upcall_vector).
"""

from hv.common.comm.shared_info import SharedInfo
from hv.common.comm.upcall import Upcalls
from hv.common.comm.vcpu_info import VcpuInfo
from hv.common.control.hvm_params import CALLBACK_IRQ, changes
from hv.common.control.hypercall import HVM_OP, hypercall
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.common.sched.core import wake
from hv.lang import Errno, Extension, Final, raises, truncate, u8, u32, u64
from hv.x86.hvm.lapic import FIRST_VECTOR
from hv.x86.hvm.lapic_device import send
from hv.x86.hvm.mode import in_long_mode
from hv.x86.hvm.pv_layout import UpcallVector

BY_VECTOR: Final[u64] = 2  # HVM_PARAM_CALLBACK_TYPE_VECTOR


class DomainUpcall(Extension[Domain]):
    vector: u8  # 0: none


class VcpuUpcall(Extension[Vcpu]):
    vector: u8  # in its local APIC; 0: the domain's is used


class HvmUpcalls(Upcalls):
    def notify(self, vcpu: Vcpu) -> None:
        vector = VcpuUpcall.of(vcpu).vector
        if vector != 0:
            send(vcpu, vector)
        elif DomainUpcall.of(vcpu.domain).vector != 0:
            wake(vcpu)

    def resume(self, vcpu: Vcpu) -> None:
        wake(vcpu)


upcalls: Final = HvmUpcalls()


def waiting_upcall(vcpu: Vcpu) -> u8:
    """The vector that waits beside the local APIC; 0: none."""
    vector = DomainUpcall.of(vcpu.domain).vector
    if vector == 0 or VcpuUpcall.of(vcpu).vector != 0 or not VcpuInfo.of(vcpu).upcall_pending:
        return 0
    return vector


def tell_again(vcpu: Vcpu) -> None:
    """Its local APIC has been turned on, and may have lost what it was told through it."""
    vector = VcpuUpcall.of(vcpu).vector
    if vector != 0 and VcpuInfo.of(vcpu).upcall_pending:
        send(vcpu, vector)


@changes.entry(index=CALLBACK_IRQ)
def set_callback(caller: Vcpu, value: u64) -> bool:
    """The way by which every vCPU without one of its own is told. Lines of interrupt controllers, which this guest does
    not have, tell nobody. A kernel that sets it has chosen its mode.
    """
    SharedInfo.of(caller.domain).take_form(not in_long_mode(caller))
    vector = truncate(u8, value)
    by_vector = value >> 56 == BY_VECTOR and u32(vector) >= FIRST_VECTOR
    DomainUpcall.of(caller.domain).vector = vector if by_vector else u8(0)
    for vcpu in Vcpus.of(caller.domain):
        if VcpuInfo.of(vcpu).upcall_pending:
            upcalls.notify(vcpu)
    return True


@hypercall(HVM_OP, sub=23)
@raises
def set_evtchn_upcall_vector(caller: Vcpu, request: UpcallVector) -> u64:
    """From now on the vCPU is told through its local APIC. EINVAL: no vector that can be sent. ENOENT: no such vCPU."""
    if u32(request.vector) < FIRST_VECTOR:
        raise Errno.EINVAL
    vcpu = Vcpus.of(caller.domain).find(request.vcpu)
    if vcpu is None:
        raise Errno.ENOENT
    VcpuUpcall.of(vcpu).vector = request.vector
    if VcpuInfo.of(vcpu).upcall_pending:
        upcalls.notify(vcpu)
    return 0
