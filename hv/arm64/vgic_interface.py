"""A CPU's virtual interface as the bookkeeping sees it: list registers, which a guest acknowledges and ends without
the hypervisor.

A GICv3 has them as system registers (ich.py), a GICv2 as memory (gich.py). `ListFormat` is how a version's registers
are reached, and costs no call: the bookkeeping is built once for each. `VirtualInterface` is what the machine's
version makes of it, chosen at boot.
"""

from hv.arm64.vgic_state import Notices, Vgic, VgicCpu
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.vcpu import Vcpu
from hv.lang import Bits, Field, Final, PerCpu, Protocol, U8Enum, u16, u32, u64

MAX_LISTS: Final = 16


class ListState(U8Enum):
    INVALID = 0
    PENDING = 1
    ACTIVE = 2
    BOTH = 3


class ListRegister(Bits[u64]):
    """ICH_LR<n>_EL2 (Arm IHI 0069, 12.4.9), which also has room for what GICH_LRn says."""

    virtual_id = Field(31, 0)
    sender = Field(34, 32)  # of an SGI in a GICv2: the vCPU that sent it
    physical_id = Field(44, 32)  # deactivated together with the virtual one, when `hardware`
    notify_end = Field(41)  # otherwise: a maintenance interrupt when the guest has ended it
    priority = Field(55, 48)
    group1 = Field(60)
    hardware = Field(61)
    state = Field(63, 62, of=ListState)


class InterfaceControl(Bits[u64]):
    """ICH_HCR_EL2 (Arm IHI 0069, 12.4.6), GICH_HCR (Arm IHI 0048B, 5.3.1), which has no `trap_deactivation`."""

    enable = Field(0)
    notify_unlisted_end = Field(2)  # LRENPIE: the guest has ended an interrupt that is in no list register
    notify_none_pending = Field(3)  # NPIE: no list register is pending
    trap_deactivation = Field(14)  # TDIR: of interrupts by ICC_DIR_EL1
    unlisted_ends = Field(31, 27)


class Interface(PerCpu):
    """What this CPU's virtual interface can do, and holds."""

    lists: u32
    active_words: u32  # active-priority registers of each group
    filled: u32  # list registers that are not zero, a bit for each


class ListFormat(Protocol):
    """How this CPU's registers are reached."""

    @staticmethod
    def read_control() -> InterfaceControl: ...

    @staticmethod
    def write_control(control: InterfaceControl) -> None: ...

    @staticmethod
    def read_list(n: u32) -> ListRegister: ...

    @staticmethod
    def write_list(n: u32, value: ListRegister) -> None: ...

    @staticmethod
    def names_senders() -> bool:
        """Whether an SGI is told apart by the vCPU that sent it."""
        ...


class VirtualInterface(Protocol):
    def start_cpu(self) -> None:
        """On each CPU, before a vCPU is loaded: sees what its interface can do, and turns it off."""
        ...

    def fold(self, held: Held[Rank.VGIC], vgic: Vgic, cpu: VgicCpu, me: u16, notices: Notices) -> None:
        """Takes everything back from the list registers; the interface is off until they are filled again."""
        ...

    def refresh(self, held: Held[Rank.VGIC], vgic: Vgic, vcpu: Vcpu, notices: Notices) -> None:
        """Folds, sees what has become of the vCPU's timer, and lists what it has then; the interface is on."""
        ...

    def load(self, cpu: VgicCpu) -> None:
        """What the guest has set up, but for the list registers, which are filled on the way into the guest."""
        ...

    def save(self, cpu: VgicCpu) -> None:
        """The inverse of `load`, after `fold`."""
        ...

    def pause(self) -> None:
        """Turns the interface off, and with it its maintenance interrupt, until the list registers are filled anew."""
        ...

    def lets_in(self, priority: u32) -> bool:
        """Whether a pending interrupt of this priority is signalled to the guest that is loaded."""
        ...


class GuestGic:
    """The one that guests get, where the machine's has virtual interfaces; set at boot."""

    interface: VirtualInterface


guest_gic: Final = GuestGic()
