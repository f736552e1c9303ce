"""`hv.arch` on x86-64: the contract is hv/arch.py, what its functions mean stands there."""

from hv.common.kernel.time import Ns, Ticks
from hv.common.mm.types import Gaddr, Gfn, Paddr
from hv.lang import Callable, Final, Never, u8, u16, u32, u64, unbounded
from hv.x86 import cpu, ipi, layout, power, recovery, stubs, timer, tlb
from hv.x86.npt import Npt as GuestFormat  # noqa: F401 (part of the contract)
from hv.x86.recovery import code_address  # noqa: F401 (part of the contract, and its caller's line counts)
from hv.x86.svm.reasons import REASONS, reason_in_words

NEVER: Final = Ns(0xFFFF_FFFF_FFFF_FFFF)

GUEST_LOWER: Final = Gaddr(0)
GUEST_LOWER_BYTES: Final[u64] = 0xF000_0000
GUEST_UPPER: Final = Gaddr(0x1_0000_0000)
GUEST_UPPER_BYTES: Final[u64] = 0xFF_0000_0000
GUEST_CONSOLE: Final = Gfn(0xF_EFFF)
SHARED_VCPUS: Final[u32] = 32
VCPU_INFO_BYTES: Final[u64] = 64
EXIT_REASONS: Final = REASONS


def relax() -> None:
    """What others wait for is done meanwhile: whoever spins may have interrupts masked for long."""
    tlb.serve()
    cpu.relax()


def cpu_id() -> u32:
    return cpu.ThisCpu.this().id


def interrupts_off() -> None:
    cpu.interrupts_off()


def interrupts_on() -> None:
    cpu.interrupts_on()


def interrupts_enabled() -> bool:
    return cpu.flags() & cpu.INTERRUPTS_ENABLED != 0


def poll_interrupts() -> None:
    cpu.interrupt_window()


def wait_for_interrupt() -> None:
    cpu.wait_for_interrupt()


@unbounded("a CPU that stops does not come back")
def halt() -> Never:
    while True:
        stubs.stop_cpu()


def send_ipi(target: u32) -> None:
    ipi.send_ipi(target)


def send_urgent_ipi(target: u32) -> None:
    ipi.send_nmi(target)


def has_nmi() -> bool:
    return True


def power_off() -> Never:
    power.power_off()


def restart() -> Never:
    power.restart()


def now() -> Ns:
    return timer.now()


def ticks() -> Ticks:
    return timer.ticks()


def elapsed(span: Ticks) -> Ns:
    return timer.to_ns(span)


def set_alarm(deadline: Ns) -> None:
    timer.set_alarm(deadline)


def direct_address(paddr: Paddr) -> u64:
    return layout.direct_address(paddr)


def physical_address(address: u64) -> Paddr:
    return layout.physical_address(address)


def zero_bytes(address: u64, length: u64) -> None:
    stubs.zero_bytes(address, length)


def zero_to_memory(address: u64, length: u64) -> None:
    """Every reader of memory sees the caches."""
    stubs.zero_bytes(address, length)


def copy_bytes(to: u64, source: u64, length: u64) -> None:
    stubs.copy_memory(to, source, length)


def clean_to_memory(address: u64, length: u64) -> None:
    """Every reader of memory sees the caches."""


def sync_instructions(address: u64, length: u64) -> None:
    """Instruction fetch sees the caches too. What a CPU has fetched ahead it forgets when it enters a guest."""


def store_entry(address: u64, entry: u64) -> None:
    cpu.store_word(address, entry)


def read_device32(address: u64) -> u32:
    return cpu.read_device32(address)


def write_device32(address: u64, value: u32) -> None:
    cpu.write_device32(address, value)


def read_device16(address: u64) -> u16:
    return cpu.read_device16(address)


def write_device16(address: u64, value: u16) -> None:
    cpu.write_device16(address, value)


def read_device8(address: u64) -> u8:
    return cpu.read_device8(address)


def write_device8(address: u64, value: u8) -> None:
    cpu.write_device8(address, value)


def read_port8(port: u16) -> u8:
    return cpu.in8(port)


def read_port16(port: u16) -> u16:
    return cpu.in16(port)


def read_port32(port: u16) -> u32:
    return cpu.in32(port)


def write_port8(port: u16, value: u8) -> None:
    cpu.out8(port, value)


def write_port16(port: u16, value: u16) -> None:
    cpu.out16(port, value)


def write_port32(port: u16, value: u32) -> None:
    cpu.out32(port, value)


def order_stores() -> None:
    cpu.order_stores()


def publish_table() -> None:
    """Stores are seen in order (Intel SDM 3A, 8.2), by table walkers too."""


def flush_hypervisor(address: u64, leaves: u64, order: u32) -> None:
    tlb.flush_hypervisor(address, leaves, order)


def flush_guest(root: Paddr, tag: u16) -> None:
    tlb.flush_guest(root, tag)


def flush_guest_page(root: Paddr, tag: u16, guest_address: u64) -> None:
    tlb.flush_guest(root, tag)


def stack_bottom() -> u64:
    return layout.stack_top(cpu_id()) - layout.STACK_SIZE


def catch_fault(function: Callable[[], None]) -> bool:
    return recovery.call_and_catch(recovery.Catcher.this(), function) != 0


def resume_after_fault() -> Never:
    recovery.come_back(recovery.Catcher.this())


def exit_reason(number: u32) -> str:
    return reason_in_words(number)


def frame_pointer() -> u64:
    return cpu.frame_pointer()


def on_stack(address: u64) -> bool:
    return layout.on_stack(address)
