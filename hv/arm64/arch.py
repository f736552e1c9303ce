"""`hv.arch` on arm64: the contract is hv/arch.py, what its functions mean stands there."""

from hv.arm64 import cpu, ipi, layout, maintenance, psci, recovery, timer
from hv.arm64.recovery import code_address  # noqa: F401 (part of the contract, and its caller's line counts)
from hv.arm64.stage2 import Stage2 as GuestFormat  # noqa: F401 (part of the contract)
from hv.arm64.syndrome import EXIT_REASONS, exit_in_words  # noqa: F401 (EXIT_REASONS is part of the contract)
from hv.arm64.sysreg import DAIF
from hv.common.kernel.time import Ns, Ticks
from hv.common.mm.types import Gaddr, Gfn, Paddr
from hv.lang import Callable, Final, Never, u8, u16, u32, u64, unbounded

NEVER: Final = Ns(0xFFFF_FFFF_FFFF_FFFF)

GUEST_LOWER: Final = Gaddr(0x4000_0000)
GUEST_LOWER_BYTES: Final[u64] = 0xC000_0000
GUEST_UPPER: Final = Gaddr(0x2_0000_0000)
GUEST_UPPER_BYTES: Final[u64] = 0xFE_0000_0000
GUEST_CONSOLE: Final = Gfn(0x3_9000)
SHARED_VCPUS: Final[u32] = 1
VCPU_INFO_BYTES: Final[u64] = 48


def relax() -> None:
    cpu.relax()


def cpu_id() -> u32:
    return cpu.ThisCpu.this().id


def interrupts_off() -> None:
    cpu.interrupts_off()


def interrupts_on() -> None:
    cpu.interrupts_on()


def interrupts_enabled() -> bool:
    return DAIF.read() & cpu.INTERRUPTS_MASKED == 0


def poll_interrupts() -> None:
    cpu.interrupt_window()


def wait_for_interrupt() -> None:
    cpu.wait_for_interrupt()


@unbounded("a CPU that stops does not come back")
def halt() -> Never:
    while True:
        cpu.stop_cpu()


def send_ipi(target: u32) -> None:
    ipi.send_ipi(target)


def send_urgent_ipi(target: u32) -> None:
    ipi.send_urgent_ipi(target)


def has_nmi() -> bool:
    return False


def power_off() -> Never:
    psci.system_off()


def restart() -> Never:
    psci.system_reset()


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
    cpu.zero_bytes(address, length)


def zero_to_memory(address: u64, length: u64) -> None:
    maintenance.zero_to_memory(address, length)


def copy_bytes(to: u64, source: u64, length: u64) -> None:
    cpu.copy_memory(to, source, length)


def clean_to_memory(address: u64, length: u64) -> None:
    maintenance.clean_to_memory(address, length)


def sync_instructions(address: u64, length: u64) -> None:
    maintenance.sync_instructions(address, length)


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
    """There are no ports here."""
    return 0xFF


def read_port16(port: u16) -> u16:
    return 0xFFFF


def read_port32(port: u16) -> u32:
    return 0xFFFF_FFFF


def write_port8(port: u16, value: u8) -> None:
    return


def write_port16(port: u16, value: u16) -> None:
    return


def write_port32(port: u16, value: u32) -> None:
    return


def order_stores() -> None:
    cpu.order_stores()


def publish_table() -> None:
    maintenance.publish_table()


def flush_hypervisor(address: u64, leaves: u64, order: u32) -> None:
    maintenance.flush_hypervisor(address, leaves, order)


def flush_guest(root: Paddr, tag: u16) -> None:
    maintenance.flush_guest(root, tag)


def flush_guest_page(root: Paddr, tag: u16, guest_address: u64) -> None:
    maintenance.flush_guest_page(root, tag, guest_address)


def exit_reason(number: u32) -> str:
    return exit_in_words(number)


def frame_pointer() -> u64:
    return cpu.frame_pointer()


def on_stack(address: u64) -> bool:
    return layout.on_stack(address)


def stack_bottom() -> u64:
    return layout.stack_top(cpu_id()) - layout.STACK_SIZE


def catch_fault(function: Callable[[], None]) -> bool:
    return recovery.call_and_catch(recovery.Catcher.this(), function) != 0


def resume_after_fault() -> Never:
    recovery.come_back(recovery.Catcher.this())
