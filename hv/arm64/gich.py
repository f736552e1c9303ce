"""A GICv2's virtual CPU interface, by the hypervisor's control registers (Arm IHI 0048B, 5.3). They are at one address,
where each CPU finds its own.
"""

from hv.arch import read_device32, write_device32
from hv.arm64.gicv2 import gicv2
from hv.arm64.vgic_interface import (
    MAX_LISTS,
    InterfaceControl,
    ListFormat,
    ListRegister,
    ListState,
    VirtualInterface,
)
from hv.arm64.vgic_lists import ListRegisters
from hv.arm64.vgic_state import Notices, Vgic, VgicCpu
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.vcpu import Vcpu
from hv.lang import Bits, Field, Final, truncate, u16, u32, u64

HCR: Final[u64] = 0x00
VTR: Final[u64] = 0x04
VMCR: Final[u64] = 0x08
APR: Final[u64] = 0xF0
LR: Final[u64] = 0x100

CONTROLS: Final[u32] = 0xF800_00FF  # of GICH_HCR: those that there are
PRIORITY_SHIFT: Final = 3  # list registers hold the upper five bits of a priority


class MemoryList(Bits[u32]):
    """GICH_LRn (5.3.8)."""

    virtual_id = Field(9, 0)
    physical_id = Field(19, 10)  # when `hardware`
    sender = Field(12, 10)  # otherwise, of an SGI
    notify_end = Field(19)  # otherwise
    priority = Field(27, 23)
    state = Field(29, 28, of=ListState)
    group1 = Field(30)
    hardware = Field(31)


class MemoryState(Bits[u32]):
    """GICH_VMCR (5.3.3): what the guest wrote to its CPU interface."""

    group0 = Field(0)
    group1 = Field(1)
    mask = Field(31, 27)  # only interrupts of a higher priority (a lower number) are signalled


class MemoryType(Bits[u32]):
    """GICH_VTR (5.3.2)."""

    lists = Field(5, 0)  # less one


class MemoryRegisters(ListFormat):
    @staticmethod
    def read_control() -> InterfaceControl:
        return InterfaceControl(u64(read_device32(gicv2.control + HCR)))

    @staticmethod
    def write_control(control: InterfaceControl) -> None:
        write_device32(gicv2.control + HCR, truncate(u32, control.raw) & CONTROLS)

    @staticmethod
    def read_list(n: u32) -> ListRegister:
        entry = MemoryList(read_device32(gicv2.control + LR + u64(n) * 4))
        list = ListRegister(
            virtual_id=u64(entry.virtual_id),
            priority=u64(entry.priority) << PRIORITY_SHIFT,
            group1=entry.group1,
            hardware=entry.hardware,
            state=entry.state,
        )
        if entry.hardware:
            list.physical_id = u64(entry.physical_id)
        else:
            list.sender = u64(entry.sender)
            list.notify_end = entry.notify_end
        return list

    @staticmethod
    def write_list(n: u32, value: ListRegister) -> None:
        entry = MemoryList(
            virtual_id=u32(value.virtual_id),
            priority=u32(value.priority) >> PRIORITY_SHIFT,
            group1=value.group1,
            hardware=value.hardware,
            state=value.state,
        )
        if value.hardware:
            entry.physical_id = u32(value.physical_id)
        else:
            entry.sender = u32(value.sender)
            entry.notify_end = value.notify_end
        write_device32(gicv2.control + LR + u64(n) * 4, entry.raw)

    @staticmethod
    def names_senders() -> bool:
        return True


lists: Final = ListRegisters[MemoryRegisters]()


class GichInterface(VirtualInterface):
    def start_cpu(self) -> None:
        kind = MemoryType(read_device32(gicv2.control + VTR))
        lists.start_cpu(min(kind.lists + 1, MAX_LISTS))

    def fold(self, held: Held[Rank.VGIC], vgic: Vgic, cpu: VgicCpu, me: u16, notices: Notices) -> None:
        lists.fold(held, vgic, cpu, me, notices)

    def refresh(self, held: Held[Rank.VGIC], vgic: Vgic, vcpu: Vcpu, notices: Notices) -> None:
        lists.refresh(held, vgic, vcpu, notices)

    def load(self, cpu: VgicCpu) -> None:
        write_device32(gicv2.control + APR, truncate(u32, cpu.active_priorities[0]))
        write_device32(gicv2.control + VMCR, truncate(u32, cpu.vmcr))

    def save(self, cpu: VgicCpu) -> None:
        cpu.active_priorities[0] = u64(read_device32(gicv2.control + APR))
        cpu.vmcr = u64(read_device32(gicv2.control + VMCR))

    def pause(self) -> None:
        lists.pause()

    def lets_in(self, priority: u32) -> bool:
        state = MemoryState(read_device32(gicv2.control + VMCR))
        return priority < state.mask << PRIORITY_SHIFT and (state.group0 or state.group1)


gich: Final = GichInterface()
