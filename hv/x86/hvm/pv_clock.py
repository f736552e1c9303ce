"""The hypervisor's time as a guest computes it from its time stamp counter: vcpu_time_info of public/xen.h.

What it computes is what `hv.arch.now` says, since both come of one counter by one fraction. So it is written once, and
says so by its flag; only on a machine whose counter is no clock it is written anew whenever a vCPU gets a CPU.

A version that is odd says that the rest is being written.
"""

from hv.arch import copy_bytes, now, ticks
from hv.common.comm.guest_area import GuestArea
from hv.common.comm.vcpu_info import VcpuInfo, places
from hv.common.control.vcpu_op import vcpu_operation
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import Ticks
from hv.common.model.vcpu import Vcpu
from hv.lang import (
    Embedded,
    Extension,
    Final,
    address_of,
    i8,
    raises,
    size_of,
    u8,
    u32,
    u64,
)
from hv.x86.hvm.pv_layout import TimeAddress, TimeInfo
from hv.x86.hvm.state import HvmDomain
from hv.x86.timer import clock, to_ns
from hv.x86.tsc_scale import tsc_scale

IN_VCPU_INFO: Final[u64] = 32
VERSION_BYTES: Final[u64] = 4
BODY: Final[u64] = 8
STABLE: Final[u8] = 1  # XEN_PVCLOCK_TSC_STABLE_BIT


class PvClock(Extension[Vcpu]):
    lock: SpinLock[Rank.PV_CLOCK]
    version: u32
    copy: Embedded[GuestArea]

    def init(self, owner: Vcpu) -> None:
        self.write(owner)

    def teardown(self, owner: Vcpu) -> None:
        self.copy.release()

    @raises
    def register(self, caller: Vcpu, owner: Vcpu, address: u64) -> None:
        """Where a copy lies, by the caller's virtual address; 0: nowhere. EFAULT."""
        new = GuestArea()
        if address != 0:
            new.take(caller, address, size_of(TimeInfo))
        with self.lock:
            self.copy.exchange(new)
        new.release()
        self.write(owner)

    def write(self, owner: Vcpu) -> None:
        info = TimeInfo()
        with self.lock:
            fill(owner, info)
            at = VcpuInfo.of(owner).address
            info.version = self.version + 1
            if at != 0:
                put(at + IN_VCPU_INFO, info)
            if self.copy.bytes != 0:
                put_copy(self.copy, info)
            self.version += 2


def fill(vcpu: Vcpu, info: TimeInfo) -> None:
    domain = HvmDomain.of(vcpu.domain)
    scale = tsc_scale()
    info.tsc_to_system_mul = scale.multiplier
    info.tsc_shift = i8(scale.shift)
    if clock.reference is None:
        info.tsc_timestamp = 0
        info.system_time = to_ns(Ticks(~domain.tsc_offset + 1))
        info.flags = STABLE
    else:
        info.tsc_timestamp = ticks() + domain.tsc_offset
        info.system_time = now()
        info.flags = 0


def put(at: u64, info: TimeInfo) -> None:
    copy_bytes(at, address_of(info), VERSION_BYTES)
    copy_bytes(at + BODY, address_of(info) + BODY, size_of(TimeInfo) - BODY)
    info.version += 1
    copy_bytes(at, address_of(info), VERSION_BYTES)
    info.version -= 1


def put_copy(area: GuestArea, info: TimeInfo) -> None:
    area.write(0, address_of(info), VERSION_BYTES)
    area.write(BODY, address_of(info) + BODY, size_of(TimeInfo) - BODY)
    info.version += 1
    area.write(0, address_of(info), VERSION_BYTES)
    info.version -= 1


def tell_time(vcpu: Vcpu) -> None:
    """The vCPU gets a CPU."""
    if clock.reference is not None:
        PvClock.of(vcpu).write(vcpu)


@places.entry()
def moved(vcpu: Vcpu) -> None:
    PvClock.of(vcpu).write(vcpu)


@vcpu_operation(sub=13)
@raises
def register_vcpu_time_memory_area(caller: Vcpu, target: Vcpu, request: TimeAddress) -> u64:
    """A copy of the vCPU's time, for programs to read. EFAULT: the caller cannot write there."""
    PvClock.of(target).register(caller, target, request.addr)
    return 0
