"""What a guest asks of a vCPU of its own: vcpu_op (public/vcpu.h), and set_timer_op (public/xen.h).

The operation, the vCPU's number, and where the argument lies. `vcpu_operation` declares those with an argument, which
is read once, whole, before the operation runs; the others are few, and stand here.
"""

from hv.arch import now
from hv.common.comm.guest_area import GuestArea
from hv.common.comm.runstate import RunstateArea, RunstateInfo, bytes_of, describe
from hv.common.comm.vcpu_info import VcpuInfo
from hv.common.comm.vcpu_timer import VcpuTimers
from hv.common.control.handle import read_request, write_request
from hv.common.control.hypercall import SET_TIMER_OP, VCPU_OP, Words, failed, plain
from hv.common.kernel.time import Ns
from hv.common.mm.types import Gfn
from hv.common.model.vcpu import Vcpu, Vcpus, architecture
from hv.common.sched.core import is_off, switch_off
from hv.common.sched.processor import locked
from hv.lang import (
    Adapted,
    Callable,
    Errno,
    Final,
    TypeVar,
    abi,
    i64,
    raises,
    truncate,
    u32,
    u64,
    value,
)

A = TypeVar("A")

IN_FUTURE: Final[u32] = 1  # VCPU_SSHOTTMR_future


@value
class VcpuOperation:
    sub: u32
    perform: Callable[[Vcpu, Vcpu, u64], i64]


def perform(operation: Callable[[Vcpu, Vcpu, A], u64], caller: Vcpu, target: Vcpu, handle: u64) -> i64:
    request = A()
    try:
        read_request(caller, handle, request)
        return i64(operation(caller, target, request))
    except Errno as e:
        return -i64(e.code)


vcpu_operation: Final = Adapted[VcpuOperation](perform)


@plain(VCPU_OP)
def vcpu_op(caller: Vcpu, words: Words) -> i64:
    """`first` is the operation, `second` the vCPU's number, `third` where the argument lies. ENOENT: there is no such
    vCPU. ENOSYS: there is no such operation.
    """
    sub = truncate(u32, words.first)
    target = Vcpus.of(caller.domain).find(truncate(u32, words.second))
    if target is None:
        return failed(Errno.ENOENT)
    for operation in vcpu_operation:
        if operation.sub == sub:
            return operation.perform(caller, target, words.third)
    match sub:
        case 2:
            switch_off(target)
            return 0
        case 3:
            return i64(not is_down(target))
        case 7:
            VcpuTimers.of(target).stop_periodic()
            return 0
        case 9:
            if target is not caller:
                return failed(Errno.EINVAL)
            VcpuTimers.of(target).stop_once()
            return 0
        case 4:
            return get_runstate(caller, target, words.third)
        case _:
            return failed(Errno.ENOSYS)


def is_down(vcpu: Vcpu) -> bool:
    with locked(vcpu):
        return vcpu.stays_down


def get_runstate(caller: Vcpu, target: Vcpu, address: u64) -> i64:
    """As it is now. EFAULT."""
    info = RunstateInfo()
    with locked(target):
        describe(target, now(), info)
    try:
        write_request(caller, address, info)
        return 0
    except Errno as e:
        return -i64(e.code)


@abi("xen/vcpu.h", "vcpu_register_runstate_memory_area_t")
class RunstateAddress:
    addr: u64


@vcpu_operation(sub=5)
@raises
def register_runstate_memory_area(caller: Vcpu, target: Vcpu, request: RunstateAddress) -> u64:
    """By the caller's virtual address; 0: there is to be no area. EFAULT: it cannot write there."""
    new = GuestArea()
    if request.addr != 0:
        new.take(caller, request.addr, bytes_of(target))
    with locked(target):
        RunstateArea.of(target).replace(target, new)
    new.release()
    return 0


@abi("xen/vcpu.h", "vcpu_register_vcpu_info_t")
class VcpuInfoPlace:
    mfn: u64
    offset: u32
    rsvd: u32


@vcpu_operation(sub=10)
@raises
def register_vcpu_info(caller: Vcpu, target: Vcpu, request: VcpuInfoPlace) -> u64:
    """Once for each vCPU, by itself or while it is off. ENXIO: the place is not aligned, or reaches beyond its page.
    EINVAL: it was registered before, it runs, or there is no memory of the domain's.
    """
    if target is not caller and not is_off(target):
        raise Errno.EINVAL
    VcpuInfo.of(target).register(target, Gfn(request.mfn), u64(request.offset))
    return 0


@abi("xen/vcpu.h", "vcpu_set_periodic_timer_t")
class PeriodicTimer:
    period_ns: u64


@vcpu_operation(sub=6)
@raises
def set_periodic_timer(caller: Vcpu, target: Vcpu, request: PeriodicTimer) -> u64:
    """EINVAL: the period is less than a millisecond, or beyond all time."""
    VcpuTimers.of(target).set_periodic(request.period_ns)
    return 0


@abi("xen/vcpu.h", "vcpu_set_singleshot_timer_t")
class SingleshotTimer:
    timeout_abs_ns: u64
    flags: u32


@vcpu_operation(sub=8)
@raises
def set_singleshot_timer(caller: Vcpu, target: Vcpu, request: SingleshotTimer) -> u64:
    """The caller's own. EINVAL: another's. ETIME: the time has passed, and the guest asked for one that has not."""
    if target is not caller:
        raise Errno.EINVAL
    VcpuTimers.of(target).set_once(Ns(request.timeout_abs_ns), request.flags & IN_FUTURE != 0)
    return 0


@plain(SET_TIMER_OP)
def set_timer_op(caller: Vcpu, words: Words) -> i64:
    """The caller's own timer, as `set_singleshot_timer`: `first` is when, in ns; 0 stops it. From 32-bit code the upper
    half is `second`.
    """
    deadline = words.first
    if architecture.vcpus.is_narrow(caller):
        deadline |= words.second << 32
    if deadline == 0:
        VcpuTimers.of(caller).stop_once()
        return 0
    try:
        VcpuTimers.of(caller).set_once(Ns(deadline), False)
        return 0
    except Errno as e:
        return -i64(e.code)
