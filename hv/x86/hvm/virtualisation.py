"""What the CPU's virtualisation extension does for guests: the line between what SVM and VMX have in common and what
each does in its own way.

Above the line (hv/x86/hvm) are the guests' CPUs: what CPUID and model-specific registers answer, hypercalls, events,
interrupts, floating point. Below it is one implementation for each extension, in a package of its own, which keeps the
registers of a guest that the hardware switches, tells why the guest came out, and enters it again.

An implementation is chosen at boot: the first of `extensions` that the CPU has and nothing hinders.
"""

from hv.common.model.vcpu import Vcpu
from hv.lang import Callable, Final, Never, Protocol, Registry, U8Enum, raises, u8, u64, value
from hv.x86.hvm.decode import Code
from hv.x86.hvm.event import Event
from hv.x86.hvm.segment import Segment, SegmentName


class Register(U8Enum):
    """A guest's registers that the hardware switches."""

    RIP = 0
    RFLAGS = 1
    CR0 = 2
    CR2 = 3
    CR3 = 4
    CR4 = 5
    EFER = 6
    PAT = 7
    DR6 = 8
    DR7 = 9


class Virtualisation(Protocol):
    """Each function is about a vCPU that no CPU runs this moment; one that is loaded is loaded on this CPU."""

    def name(self) -> str: ...

    def hindrance(self) -> str:
        """Why no guest can run. Empty: nothing hinders."""
        ...

    def start_cpu(self) -> None:
        """Turns the extension on, on this CPU."""
        ...

    @raises
    def make(self, vcpu: Vcpu) -> None:
        """What the extension keeps of a new vCPU. ENOMEM."""
        ...

    def discard(self, vcpu: Vcpu) -> None: ...

    def reset(self, vcpu: Vcpu) -> None:
        """Nothing is pending or in flight, and what a guest may do by itself is as at the start."""
        ...

    def load(self, vcpu: Vcpu) -> None: ...

    def save(self, vcpu: Vcpu) -> None: ...

    def read(self, vcpu: Vcpu, register: Register) -> u64: ...

    def write(self, vcpu: Vcpu, register: Register, value: u64) -> None: ...

    def segment(self, vcpu: Vcpu, name: SegmentName) -> Segment: ...

    def set_segment(self, vcpu: Vcpu, name: SegmentName, segment: Segment) -> None: ...

    def instruction_length(self, vcpu: Vcpu, plain: u64) -> u64:
        """Bytes of the instruction that brought the guest out by itself. `plain`: without prefixes, which is the answer
        where the CPU does not tell.
        """
        ...

    def copy_instruction(self, vcpu: Vcpu, code: Code) -> None:
        """What the CPU has read of the instruction whose access to memory brought the guest out: mostly more bytes than
        it has, or fewer, or none.
        """
        ...

    def privilege(self, vcpu: Vcpu) -> u8:
        """CPL."""
        ...

    def shadow(self, vcpu: Vcpu) -> bool:
        """Whether the instruction before holds interrupts back for one more (STI, MOV SS)."""
        ...

    def clear_shadow(self, vcpu: Vcpu) -> None: ...

    def task_priority(self, vcpu: Vcpu) -> u8:
        """The upper four bits of the task priority, as the guest has set them by CR8."""
        ...

    def set_task_priority(self, vcpu: Vcpu, priority: u8) -> None: ...

    def set_tsc_offset(self, vcpu: Vcpu, offset: u64) -> None:
        """What is added to the CPU's counter, modulo 2**64, when the guest reads it."""
        ...

    def inject(self, vcpu: Vcpu, event: Event) -> None:
        """To be taken at the next entry, before the next instruction: an interrupt, when the guest takes interrupts."""
        ...

    def takes_nmi(self, vcpu: Vcpu) -> bool:
        """Neither within another, nor in the shadow of an instruction."""
        ...

    def open_window(self, vcpu: Vcpu, vector: u8) -> None:
        """The guest is to come out as soon as it would take an interrupt of this priority."""
        ...

    def watch_priority(self, vcpu: Vcpu) -> None:
        """Instead of a window: the guest is to come out when it changes its task priority, by CR8."""
        ...

    def close_window(self, vcpu: Vcpu) -> None: ...

    def prepare(self, vcpu: Vcpu) -> None:
        """The last before an entry: the vCPU is loaded, and interrupts are masked."""
        ...

    def enter(self, vcpu: Vcpu) -> Never:
        """Gives up this CPU's stack."""
        ...


@value
class VirtualisationExtension:
    present: Callable[[], bool]
    """Whether this CPU has it, usable or not."""
    get: Callable[[], Virtualisation]


extensions: Final = Registry[VirtualisationExtension]()


class Chosen:
    extension: Virtualisation
    found: bool


chosen: Final = Chosen()


def choose_extension() -> None:
    """On the boot CPU, before any vCPU is made."""
    for candidate in extensions:
        if not chosen.found and candidate.present():
            chosen.extension = candidate.get()
            chosen.found = True


def virtualisation() -> Virtualisation:
    return chosen.extension
