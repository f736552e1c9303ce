"""Interrupts that a guest's CPUs send each other, by ICC_SGI1R_EL1 and its relatives (Arm IHI 0069, 12.2.22)."""

from hv.arm64.guest_map import CLUSTER
from hv.arm64.vgic_state import Notices, Vgic, VgicCpu
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.lang import Bits, Field, u16, u32, u64


class SgiRequest(Bits[u64]):
    """ICC_SGI1R_EL1, ICC_ASGI1R_EL1, ICC_SGI0R_EL1."""

    targets = Field(15, 0)  # a bit for each CPU of the range
    aff1 = Field(23, 16)
    intid = Field(27, 24)
    aff2 = Field(39, 32)
    all_others = Field(40)
    range = Field(47, 44)
    aff3 = Field(55, 48)


def send(vcpu: Vcpu, value: u64, group1: bool) -> None:
    """What the vCPU wrote to the register of this group. Targets that there are not, and those that have the
    interrupt in the other group, are left out.
    """
    request = SgiRequest(value)
    vcpus = Vcpus.of(vcpu.domain)
    notices = Notices()
    with Vgic.of(vcpu.domain).lock as held:
        if request.all_others:
            for other in vcpus:
                if other is not vcpu:
                    _latch(held, other, u32(request.intid), group1, notices)
        elif request.aff2 == 0 and request.aff3 == 0 and request.range == 0:
            for i in range(CLUSTER):
                if request.targets >> i & 1 != 0:
                    target = vcpus.find(u32(request.aff1) * CLUSTER + i)
                    if target is not None:
                        _latch(held, target, u32(request.intid), group1, notices)
    notices.deliver(vcpu.domain)


def _latch(held: Held[Rank.VGIC], target: Vcpu, intid: u32, group1: bool, notices: Notices) -> None:
    bank = VgicCpu.of(target).private
    bit = u32(1) << intid
    if (bank.group1 & bit != 0) == group1:
        bank.latched |= bit
        notices.add(u16(target.id))
