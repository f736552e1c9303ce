"""A GICv3's virtual CPU interface, by the hypervisor's system registers (Arm IHI 0069, 12.4)."""

from hv.arm64.cpu import instruction_barrier
from hv.arm64.sysreg import ICC_SRE_EL2
from hv.arm64.vgic_interface import (
    MAX_LISTS,
    Interface,
    InterfaceControl,
    ListFormat,
    ListRegister,
    VirtualInterface,
)
from hv.arm64.vgic_lists import ListRegisters
from hv.arm64.vgic_state import Notices, Vgic, VgicCpu
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.vcpu import Vcpu
from hv.lang import Bits, Field, Final, SystemRegister, u16, u32, u64

ICC_SRE_EL1: Final = SystemRegister("icc_sre_el1")
ICH_AP0R0_EL2: Final = SystemRegister("ich_ap0r0_el2")
ICH_AP0R1_EL2: Final = SystemRegister("ich_ap0r1_el2")
ICH_AP0R2_EL2: Final = SystemRegister("ich_ap0r2_el2")
ICH_AP0R3_EL2: Final = SystemRegister("ich_ap0r3_el2")
ICH_AP1R0_EL2: Final = SystemRegister("ich_ap1r0_el2")
ICH_AP1R1_EL2: Final = SystemRegister("ich_ap1r1_el2")
ICH_AP1R2_EL2: Final = SystemRegister("ich_ap1r2_el2")
ICH_AP1R3_EL2: Final = SystemRegister("ich_ap1r3_el2")
ICH_HCR_EL2: Final = SystemRegister("ich_hcr_el2")
ICH_LR0_EL2: Final = SystemRegister("ich_lr0_el2")
ICH_LR1_EL2: Final = SystemRegister("ich_lr1_el2")
ICH_LR2_EL2: Final = SystemRegister("ich_lr2_el2")
ICH_LR3_EL2: Final = SystemRegister("ich_lr3_el2")
ICH_LR4_EL2: Final = SystemRegister("ich_lr4_el2")
ICH_LR5_EL2: Final = SystemRegister("ich_lr5_el2")
ICH_LR6_EL2: Final = SystemRegister("ich_lr6_el2")
ICH_LR7_EL2: Final = SystemRegister("ich_lr7_el2")
ICH_LR8_EL2: Final = SystemRegister("ich_lr8_el2")
ICH_LR9_EL2: Final = SystemRegister("ich_lr9_el2")
ICH_LR10_EL2: Final = SystemRegister("ich_lr10_el2")
ICH_LR11_EL2: Final = SystemRegister("ich_lr11_el2")
ICH_LR12_EL2: Final = SystemRegister("ich_lr12_el2")
ICH_LR13_EL2: Final = SystemRegister("ich_lr13_el2")
ICH_LR14_EL2: Final = SystemRegister("ich_lr14_el2")
ICH_LR15_EL2: Final = SystemRegister("ich_lr15_el2")
ICH_VMCR_EL2: Final = SystemRegister("ich_vmcr_el2")
ICH_VTR_EL2: Final = SystemRegister("ich_vtr_el2")

SRE: Final[u64] = 0b0111  # system registers, no bypass; without Enable a guest's access to ICC_SRE_EL1 traps


class InterfaceType(Bits[u64]):
    """ICH_VTR_EL2."""

    lists = Field(4, 0)  # less one
    traps_deactivation = Field(19)  # TDS
    preemption_bits = Field(28, 26)  # less one


class InterfaceState(Bits[u64]):
    """ICH_VMCR_EL2: what the guest wrote to its CPU interface."""

    group0 = Field(0)
    group1 = Field(1)
    end_only_drops = Field(9)  # EOImode: a separate write to ICC_DIR_EL1 deactivates
    mask = Field(31, 24)  # PMR: only interrupts of a higher priority (a lower number) are signalled


class SystemRegisters(ListFormat):
    @staticmethod
    def read_control() -> InterfaceControl:
        return InterfaceControl(ICH_HCR_EL2.read())

    @staticmethod
    def write_control(control: InterfaceControl) -> None:
        ICH_HCR_EL2.write(control.raw)

    @staticmethod
    def read_list(n: u32) -> ListRegister:
        """Mostly only the first one is in use."""
        return ListRegister(ICH_LR0_EL2.read()) if n == 0 else read_list(n)

    @staticmethod
    def write_list(n: u32, value: ListRegister) -> None:
        write_list(n, value)

    @staticmethod
    def names_senders() -> bool:
        return False


lists: Final = ListRegisters[SystemRegisters]()


class IchInterface(VirtualInterface):
    def start_cpu(self) -> None:
        ICC_SRE_EL1.write(SRE)
        ICC_SRE_EL2.write(SRE)
        instruction_barrier()
        kind = InterfaceType(ICH_VTR_EL2.read())
        Interface.this().active_words = active_words(u32(kind.preemption_bits) + 1)
        lists.start_cpu(u32(kind.lists) % MAX_LISTS + 1)

    def fold(self, held: Held[Rank.VGIC], vgic: Vgic, cpu: VgicCpu, me: u16, notices: Notices) -> None:
        lists.fold(held, vgic, cpu, me, notices)

    def refresh(self, held: Held[Rank.VGIC], vgic: Vgic, vcpu: Vcpu, notices: Notices) -> None:
        lists.refresh(held, vgic, vcpu, notices)

    def load(self, cpu: VgicCpu) -> None:
        words = Interface.this().active_words
        for n in range(4):
            if n < words:
                write_active(n, cpu.active_priorities[n])
                write_active(n + 4, cpu.active_priorities[n + 4])
        ICH_VMCR_EL2.write(cpu.vmcr)

    def save(self, cpu: VgicCpu) -> None:
        words = Interface.this().active_words
        for n in range(4):
            if n < words:
                cpu.active_priorities[n] = read_active(n)
                cpu.active_priorities[n + 4] = read_active(n + 4)
        cpu.vmcr = ICH_VMCR_EL2.read()

    def pause(self) -> None:
        lists.pause()

    def lets_in(self, priority: u32) -> bool:
        state = InterfaceState(ICH_VMCR_EL2.read())
        return u64(priority) < state.mask and (state.group0 or state.group1)


ich: Final = IchInterface()


def active_words(preemption_bits: u32) -> u32:
    """Of 32 priorities each."""
    if preemption_bits <= 5:
        return 1
    return 2 if preemption_bits == 6 else 4


def read_list(n: u32) -> ListRegister:
    match n:
        case 0:
            return ListRegister(ICH_LR0_EL2.read())
        case 1:
            return ListRegister(ICH_LR1_EL2.read())
        case 2:
            return ListRegister(ICH_LR2_EL2.read())
        case 3:
            return ListRegister(ICH_LR3_EL2.read())
        case 4:
            return ListRegister(ICH_LR4_EL2.read())
        case 5:
            return ListRegister(ICH_LR5_EL2.read())
        case 6:
            return ListRegister(ICH_LR6_EL2.read())
        case 7:
            return ListRegister(ICH_LR7_EL2.read())
        case 8:
            return ListRegister(ICH_LR8_EL2.read())
        case 9:
            return ListRegister(ICH_LR9_EL2.read())
        case 10:
            return ListRegister(ICH_LR10_EL2.read())
        case 11:
            return ListRegister(ICH_LR11_EL2.read())
        case 12:
            return ListRegister(ICH_LR12_EL2.read())
        case 13:
            return ListRegister(ICH_LR13_EL2.read())
        case 14:
            return ListRegister(ICH_LR14_EL2.read())
        case _:
            return ListRegister(ICH_LR15_EL2.read())


def write_list(n: u32, value: ListRegister) -> None:
    match n:
        case 0:
            ICH_LR0_EL2.write(value.raw)
        case 1:
            ICH_LR1_EL2.write(value.raw)
        case 2:
            ICH_LR2_EL2.write(value.raw)
        case 3:
            ICH_LR3_EL2.write(value.raw)
        case 4:
            ICH_LR4_EL2.write(value.raw)
        case 5:
            ICH_LR5_EL2.write(value.raw)
        case 6:
            ICH_LR6_EL2.write(value.raw)
        case 7:
            ICH_LR7_EL2.write(value.raw)
        case 8:
            ICH_LR8_EL2.write(value.raw)
        case 9:
            ICH_LR9_EL2.write(value.raw)
        case 10:
            ICH_LR10_EL2.write(value.raw)
        case 11:
            ICH_LR11_EL2.write(value.raw)
        case 12:
            ICH_LR12_EL2.write(value.raw)
        case 13:
            ICH_LR13_EL2.write(value.raw)
        case 14:
            ICH_LR14_EL2.write(value.raw)
        case _:
            ICH_LR15_EL2.write(value.raw)


def read_active(n: u32) -> u64:
    """ICH_AP0R<n>_EL2 for n below 4, ICH_AP1R<n - 4>_EL2 above."""
    match n:
        case 0:
            return ICH_AP0R0_EL2.read()
        case 1:
            return ICH_AP0R1_EL2.read()
        case 2:
            return ICH_AP0R2_EL2.read()
        case 3:
            return ICH_AP0R3_EL2.read()
        case 4:
            return ICH_AP1R0_EL2.read()
        case 5:
            return ICH_AP1R1_EL2.read()
        case 6:
            return ICH_AP1R2_EL2.read()
        case _:
            return ICH_AP1R3_EL2.read()


def write_active(n: u32, value: u64) -> None:
    match n:
        case 0:
            ICH_AP0R0_EL2.write(value)
        case 1:
            ICH_AP0R1_EL2.write(value)
        case 2:
            ICH_AP0R2_EL2.write(value)
        case 3:
            ICH_AP0R3_EL2.write(value)
        case 4:
            ICH_AP1R0_EL2.write(value)
        case 5:
            ICH_AP1R1_EL2.write(value)
        case 6:
            ICH_AP1R2_EL2.write(value)
        case _:
            ICH_AP1R3_EL2.write(value)
