"""What a guest reads of where its vCPUs' time went: vcpu_runstate_info of public/vcpu.h, in an area of its memory.

It is written when a vCPU gets a CPU and when it loses it. A guest that has asked for it sees the highest bit of
`state_entry_time` set meanwhile. The lock of a vCPU's scheduling state protects its area.
"""

from hv.arch import order_stores
from hv.common.comm.guest_area import GuestArea
from hv.common.comm.shared_info import SharedInfo
from hv.common.kernel.time import Ns
from hv.common.model.domain import Domain
from hv.common.model.vcpu import RunState, Vcpu, runstate_changes
from hv.lang import (
    Compat,
    Embedded,
    Extension,
    Final,
    abi,
    address_of,
    array,
    i32,
    narrow,
    size_of,
    u8,
    u64,
)

BEING_WRITTEN: Final[u64] = 1 << 63
STATES: Final = 4


@abi("xen/vcpu.h", "vcpu_runstate_info_t")
class RunstateInfo:
    state: i32
    state_entry_time: u64
    time: array[u64, STATES]


class Word:
    value: u64


class RunstateFlag(Extension[Domain]):
    """VMASST_TYPE_runstate_update_flag."""

    wanted: bool


class RunstateArea(Extension[Vcpu]):
    area: Embedded[GuestArea]

    def teardown(self, owner: Vcpu) -> None:
        self.area.release()

    def replace(self, owner: Vcpu, new: GuestArea) -> None:
        """Under the lock of its scheduling state; `new` holds the old area then."""
        self.area.exchange(new)
        tell(owner, owner.runstate, owner.since)


def bytes_of(vcpu: Vcpu) -> u64:
    return size_of(Compat[RunstateInfo]) if SharedInfo.of(vcpu.domain).narrow else size_of(RunstateInfo)


@runstate_changes.entry()
def changed(vcpu: Vcpu, before: RunState) -> None:
    if RunState.RUNNING in (before, vcpu.runstate):
        tell(vcpu, vcpu.runstate, vcpu.since)


def tell(vcpu: Vcpu, state: RunState, since: Ns) -> None:
    """Under the lock of its scheduling state."""
    area = RunstateArea.of(vcpu).area
    if area.bytes == 0:
        return
    info = RunstateInfo()
    describe(vcpu, since, info)
    if not RunstateFlag.of(vcpu.domain).wanted:
        put(area, info)
        return
    info.state_entry_time |= BEING_WRITTEN
    put_entry_time(area, info)
    order_stores()
    put(area, info)
    order_stores()
    info.state_entry_time &= ~BEING_WRITTEN
    put_entry_time(area, info)


def describe(vcpu: Vcpu, now: Ns, info: RunstateInfo) -> None:
    """As it is at that time. Under the lock of its scheduling state."""
    info.state = i32(u8(vcpu.runstate))
    info.state_entry_time = u64(vcpu.since)
    for i in range(STATES):
        info.time[i] = u64(vcpu.time_in(RunState(u8(i)), now))


def put(area: GuestArea, info: RunstateInfo) -> None:
    if area.bytes == size_of(RunstateInfo):
        area.write(0, address_of(info), size_of(RunstateInfo))
        return
    small = Compat[RunstateInfo]()
    fits = narrow(info, small)
    assert fits, "a runstate has no field that is smaller in the narrow form"
    area.write(0, address_of(small), size_of(Compat[RunstateInfo]))


def put_entry_time(area: GuestArea, info: RunstateInfo) -> None:
    time = Word()
    time.value = info.state_entry_time
    area.write(8 if area.bytes == size_of(RunstateInfo) else 4, address_of(time), size_of(Word))
