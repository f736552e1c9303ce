"""What common code asks of the architecture: the contract, without a body.

`from hv.arch import ...` gives the target's module (hv/arm64/arch.py, hv/sim/arch.py), which the compiler checks
against the signatures here. The module lies below `hv.common.kernel`: neither the contract nor an implementation may
import what itself imports `hv.arch` (locks, the log). Therefore nothing here knows a Vcpu: what saves and loads one,
the model takes as an interface that the architecture implements.

The hypervisor runs with interrupts masked. They are taken only by `poll_interrupts`, and while `interrupts_on` holds.
"""

from hv.common.kernel.time import Ns, Ticks
from hv.common.mm.format import Attributes, Format
from hv.common.mm.types import Gaddr, Gfn, Mfn, Paddr
from hv.lang import Callable, Final, Never, u8, u16, u32, u64

NEVER: Final = Ns(0xFFFF_FFFF_FFFF_FFFF)

# Where a guest's memory lies: two ranges of its physical addresses, the first of which is filled first
GUEST_LOWER: Final = Gaddr(0x4000_0000)
GUEST_LOWER_BYTES: Final[u64] = 0xC000_0000
GUEST_UPPER: Final = Gaddr(0x2_0000_0000)
GUEST_UPPER_BYTES: Final[u64] = 0xFE_0000_0000
# The guest frame of its console's ring, which is none of its memory
GUEST_CONSOLE: Final = Gfn(0xF_EFFF)
# The page that a domain shares with the hypervisor (shared_info of public/xen.h): of how many vCPUs it begins with the
# vcpu_info, and how large each is
SHARED_VCPUS: Final[u32] = 32
VCPU_INFO_BYTES: Final[u64] = 64
EXIT_REASONS: Final = 0  # how many reasons there are that a guest's exit may have: numbers from 0 on


# This CPU
def relax() -> None:
    """A hint that this CPU spins. Where translations are flushed by asking each CPU, it answers here: whoever asks may
    hold the lock that this one waits for."""
    ...


def cpu_id() -> u32:
    """This CPU's number: 0 is the boot CPU, the others follow in the order of the tree."""
    ...


def interrupts_off() -> None: ...


def interrupts_on() -> None: ...


def interrupts_enabled() -> bool: ...


def poll_interrupts() -> None:
    """Takes every interrupt that is pending for this CPU, and returns with interrupts masked as before."""
    ...


def wait_for_interrupt() -> None:
    """Sleeps until an interrupt is pending: call `poll_interrupts` next. Where a CPU can only be woken by taking the
    interrupt, it has been taken. May return early."""
    ...


def halt() -> Never:
    """This CPU stops for good, with interrupts masked."""
    ...


# Other CPUs and the machine
def send_ipi(cpu: u32) -> None:
    """Interrupts another CPU, which then looks at its softirqs and cross calls. Earlier stores are visible to it."""
    ...


def send_urgent_ipi(cpu: u32) -> None:
    """Interrupts another CPU, which then looks whether a panic is to stop it, or the watchdog has found it stuck. Where
    `has_nmi`, it need not have interrupts on. Earlier stores are visible to it.
    """
    ...


def has_nmi() -> bool:
    """Whether an urgent interrupt reaches a CPU that has interrupts masked."""
    ...


def power_off() -> Never: ...


def restart() -> Never: ...


# Time
def now() -> Ns:
    """Nanoseconds since the machine's counter started; the same on all CPUs, never backwards."""
    ...


def ticks() -> Ticks:
    """The counter itself, as guests can read it too: quicker than `now`, in a unit of the machine's own."""
    ...


def elapsed(span: Ticks) -> Ns:
    """How long so many ticks take, rounded down."""
    ...


def set_alarm(deadline: Ns) -> None:
    """This CPU's hypervisor timer interrupts at or after the deadline. NEVER turns it off."""
    ...


# Memory
def direct_address(paddr: Paddr) -> u64:
    """Where the direct map shows a byte of RAM."""
    ...


def physical_address(address: u64) -> Paddr:
    """The inverse, also for an address inside the image."""
    ...


def zero_bytes(address: u64, length: u64) -> None:
    """Clears mapped memory; fastest on whole pages."""
    ...


def zero_to_memory(address: u64, length: u64) -> None:
    """Clears whole pages, for readers that do not snoop: `zero_bytes` and `clean_to_memory` in one."""
    ...


def copy_bytes(to: u64, source: u64, length: u64) -> None:
    """Copies between ranges of mapped memory that do not overlap."""
    ...


def clean_to_memory(address: u64, length: u64) -> None:
    """Writes cached lines back to the point of coherency: for readers that do not snoop (a guest with its caches
    off)."""
    ...


def sync_instructions(address: u64, length: u64) -> None:
    """Makes what was stored there visible to instruction fetch on all CPUs."""
    ...


def store_entry(address: u64, entry: u64) -> None:
    """Stores an entry of a translation table, in one piece."""
    ...


def read_device32(address: u64) -> u32:
    """A device's register, at a mapped address. Accesses to one device stay in order."""
    ...


def write_device32(address: u64, value: u32) -> None: ...


def read_device16(address: u64) -> u16: ...


def write_device16(address: u64, value: u16) -> None: ...


def read_device8(address: u64) -> u8: ...


def write_device8(address: u64, value: u8) -> None: ...


def read_port8(port: u16) -> u8:
    """The I/O ports of a machine. One that has none answers all ones and forgets what is written."""
    ...


def read_port16(port: u16) -> u16: ...


def read_port32(port: u16) -> u32: ...


def write_port8(port: u16, value: u8) -> None: ...


def write_port16(port: u16, value: u16) -> None: ...


def write_port32(port: u16, value: u32) -> None: ...


def order_stores() -> None:
    """Stores before this are seen by other CPUs before those behind it."""
    ...


def publish_table() -> None:
    """Stores to translation tables before this are seen by the table walkers of all CPUs after it."""
    ...


def flush_hypervisor(address: u64, leaves: u64, order: u32) -> None:
    """Forgets on all CPUs what leaves in a row of the hypervisor's own tables said, from an address on, of which each
    mapped 2**order frames; and the tables on the way there. The other CPUs are asked once, however many leaves."""
    ...


def flush_guest(root: Paddr, tag: u16) -> None:
    """Forgets all that any CPU caches for the guest whose physical map has this root: translations of it, and those
    combined with the guest's own. `tag` is its number in the TLBs, where they know one (VMID, ASID, VPID)."""
    ...


def flush_guest_page(root: Paddr, tag: u16, guest_address: u64) -> None:
    """As `flush_guest`, for one guest-physical page."""
    ...


class GuestFormat(Format):
    """How the tables of a guest's physical map are written."""

    @staticmethod
    def top() -> u32: ...

    @staticmethod
    def root_order() -> u32: ...

    @staticmethod
    def limit() -> u64: ...

    @staticmethod
    def has_leaf(height: u32) -> bool: ...

    @staticmethod
    def breaks_before_make() -> bool: ...

    @staticmethod
    def is_present(entry: u64) -> bool: ...

    @staticmethod
    def is_leaf(entry: u64, height: u32) -> bool: ...

    @staticmethod
    def target(entry: u64, height: u32) -> Mfn: ...

    @staticmethod
    def attributes(entry: u64, height: u32) -> Attributes: ...

    @staticmethod
    def leaf(mfn: Mfn, height: u32, attributes: Attributes) -> u64: ...

    @staticmethod
    def table(mfn: Mfn) -> u64: ...


# For who reads
def exit_reason(number: u32) -> str:
    """In a few words, of a number below EXIT_REASONS."""
    ...


# What a panic reads
def frame_pointer() -> u64:
    """The caller's frame record: two words, the outer record's address and the return address."""
    ...


def on_stack(address: u64) -> bool:
    """Whether the 16 bytes at this address lie in a mapped hypervisor stack: a frame record may be read there."""
    ...


# What self-tests need, in builds with CONFIG_SELFTEST
def code_address() -> u64:
    """Where the caller goes on behind this call: an address of its code, on the call's line. It is a stub of its own: a
    function around it would have its own line told instead.
    """
    ...


def stack_bottom() -> u64:
    """The lowest address of this CPU's stack, below which nothing is mapped."""
    ...


def catch_fault(function: Callable[[], None]) -> bool:
    """Calls the function. True when it did not come back, but `resume_after_fault` was called on this CPU meanwhile."""
    ...


def resume_after_fault() -> Never:
    """Goes on behind this CPU's `catch_fault`, on its stack and with interrupts masked as they were there. A panic
    calls it on whatever stack it is, and whatever brought it there may be used again: an emergency stack, or the
    blocking of further NMIs.
    """
    ...
