"""Interrupts that the vCPUs of a GICv2 send each other (Arm IHI 0048B, 4.3.15 to 4.3.17).

An SGI is pending once for each vCPU that has sent it, and the one that takes it learns whose it is.
"""

from hv.arm64.vgic_state import Notices, Vgic, VgicCpu
from hv.arm64.virq import settle
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.lang import Bits, Field, Final, truncate, u8, u16, u32, u64

SGIR: Final[u64] = 0xF00
CLEAR_SENDERS: Final[u64] = 0xF10  # GICD_CPENDSGIR: a byte for each SGI, with a bit for each vCPU that has sent it
SET_SENDERS: Final[u64] = 0xF20  # GICD_SPENDSGIR
SENDERS_END: Final[u64] = 0xF30

LISTED: Final = 0  # values of `filter`
ALL_OTHERS: Final = 1
ITSELF: Final = 2


class SgiRequest(Bits[u64]):
    """GICD_SGIR."""

    intid = Field(3, 0)
    targets = Field(23, 16)
    filter = Field(25, 24)


def send(vcpu: Vcpu, value: u64, notices: Notices) -> None:
    """What the vCPU wrote to GICD_SGIR. Targets that there are not are left out."""
    request = SgiRequest(value)
    me = u64(1) << vcpu.id
    targets = request.targets
    if request.filter == ALL_OTHERS:
        targets = ~me
    elif request.filter == ITSELF:
        targets = me
    elif request.filter != LISTED:
        return
    with Vgic.of(vcpu.domain).lock as held:
        for other in Vcpus.of(vcpu.domain):
            if targets >> other.id & 1 != 0:
                add_senders(held, other, u32(request.intid), u8(me), notices)


def add_senders(held: Held[Rank.VGIC], target: Vcpu, intid: u32, senders: u8, notices: Notices) -> None:
    if senders != 0:
        cpu = VgicCpu.of(target)
        cpu.senders[intid] |= senders
        cpu.private.latched |= u32(1) << intid
        notices.add(u16(target.id))


def read_senders(vcpu: Vcpu, offset: u64, size: u32) -> u64:
    if size != 1 and size != 4:
        return 0
    cpu = VgicCpu.of(vcpu)
    settle(vcpu, cpu.private)
    first = u32(offset - CLEAR_SENDERS) % 16
    with Vgic.of(vcpu.domain).lock:
        if size == 1:
            return u64(cpu.senders[first])
        word: u64 = 0
        for i in range(4):
            word |= u64(cpu.senders[first + i]) << 8 * i
        return word


def write_senders(vcpu: Vcpu, offset: u64, size: u32, value: u64, notices: Notices) -> None:
    if size != 1 and size != 4:
        return
    cpu = VgicCpu.of(vcpu)
    settle(vcpu, cpu.private)
    first = u32(offset - CLEAR_SENDERS) % 16
    there = truncate(u8, (u32(1) << vcpu.domain.config.vcpus) - 1)
    with Vgic.of(vcpu.domain).lock as held:
        for i in range(4):
            if u32(i) < size:
                senders = truncate(u8, value >> 8 * i) & there
                if offset >= SET_SENDERS:
                    add_senders(held, vcpu, first + i, senders, notices)
                else:
                    remove_senders(held, vcpu, first + i, senders, notices)


def remove_senders(held: Held[Rank.VGIC], target: Vcpu, intid: u32, senders: u8, notices: Notices) -> None:
    cpu = VgicCpu.of(target)
    cpu.senders[intid] &= ~senders
    if cpu.senders[intid] == 0:
        cpu.private.latched &= ~(u32(1) << intid)
    notices.add(u16(target.id))
