"""`hv.arch` of the simulated machine: the contract is hv/arch.py, what its functions mean stands there.

Memory is an arena (memory.py), the walkers and TLBs are models (walker.py), CPUs and time belong to the test
(machine.py, turns.py).
Turning the machine off, restarting it and halting a CPU end the process, with an exit status of their own.
"""

from hv.arm64.stage2 import Stage2 as GuestFormat  # noqa: F401 (part of the contract)
from hv.common.kernel.time import Ns, Ticks
from hv.common.mm.types import PAGE_SHIFT, Gaddr, Gfn, Mfn, Paddr, mfn_of
from hv.lang import Callable, Final, Never, bounded, ptr, truncate, u8, u16, u32, u64
from hv.sim import changes, machine, memory, turns
from hv.sim.tlb import tlbs
from hv.x86 import tlb as x86_tlb

NEVER: Final = Ns(0xFFFF_FFFF_FFFF_FFFF)

FEW: Final[u64] = 32  # leaves that are forgotten one by one

GUEST_LOWER: Final = Gaddr(0x4000_0000)
GUEST_LOWER_BYTES: Final[u64] = 0xC000_0000
GUEST_UPPER: Final = Gaddr(0x2_0000_0000)
GUEST_UPPER_BYTES: Final[u64] = 0xFE_0000_0000
GUEST_CONSOLE: Final = Gfn(0x3_9000)
SHARED_VCPUS: Final[u32] = 32
VCPU_INFO_BYTES: Final[u64] = 64
EXIT_REASONS: Final = 3


def relax() -> None:
    if tlbs.asks_each:
        x86_tlb.serve()
    machine.spin()
    turns.spins()


def cpu_id() -> u32:
    return machine.CpuNumber.this().number


def interrupts_off() -> None:
    machine.SimulatedCpu.this().interrupts = False


def interrupts_on() -> None:
    machine.SimulatedCpu.this().interrupts = True
    poll_interrupts()


def interrupts_enabled() -> bool:
    return machine.SimulatedCpu.this().interrupts


def poll_interrupts() -> None:
    turns.passing()
    machine.poll()


def wait_for_interrupt() -> None:
    if not machine.pending_on(cpu_id()):
        machine.spin()
        turns.waits()


def halt() -> Never:
    machine.end(machine.HALTED)


def send_ipi(cpu: u32) -> None:
    machine.kick(cpu)
    turns.interrupted(cpu)


def send_urgent_ipi(cpu: u32) -> None:
    machine.urge(cpu)


def has_nmi() -> bool:
    return True


def power_off() -> Never:
    machine.end(machine.POWERED_OFF)


def restart() -> Never:
    machine.end(machine.RESTARTED)


def now() -> Ns:
    return machine.time()


def ticks() -> Ticks:
    """Nanoseconds."""
    return Ticks(machine.time())


def elapsed(span: Ticks) -> Ns:
    return Ns(span)


def set_alarm(deadline: Ns) -> None:
    cpu = machine.SimulatedCpu.this()
    cpu.alarm = deadline
    cpu.alarm_set = deadline != NEVER


def direct_address(paddr: Paddr) -> u64:
    return memory.address_at(paddr)


def physical_address(address: u64) -> Paddr:
    return memory.paddr_at(address)


def zero_bytes(address: u64, length: u64) -> None:
    memory.clear(address, length)
    _note(address, length)


def copy_bytes(to: u64, source: u64, length: u64) -> None:
    memory.copy(to, source, length)
    _note(to, length)


def zero_to_memory(address: u64, length: u64) -> None:
    zero_bytes(address, length)
    clean_to_memory(address, length)


def clean_to_memory(address: u64, length: u64) -> None:
    if memory.in_ram(address):
        changes.clean(address, length)


def sync_instructions(address: u64, length: u64) -> None:
    """Instruction fetch is not modelled."""


def store_entry(address: u64, entry: u64) -> None:
    ptr[u64](address)[0] = entry
    _note(address, 8)


def read_device32(address: u64) -> u32:
    return machine.read_register(address)


def write_device32(address: u64, value: u32) -> None:
    machine.write_register(address, value)


def read_device16(address: u64) -> u16:
    return truncate(u16, machine.read_register(address))


def write_device16(address: u64, value: u16) -> None:
    machine.write_register(address, u32(value))


def read_device8(address: u64) -> u8:
    return truncate(u8, machine.read_register(address))


def write_device8(address: u64, value: u8) -> None:
    machine.write_register(address, u32(value))


def read_port8(port: u16) -> u8:
    return truncate(u8, machine.read_port(port, 1))


def read_port16(port: u16) -> u16:
    return truncate(u16, machine.read_port(port, 2))


def read_port32(port: u16) -> u32:
    return machine.read_port(port, 4)


def write_port8(port: u16, value: u8) -> None:
    machine.write_port(port, 1, u32(value))


def write_port16(port: u16, value: u16) -> None:
    machine.write_port(port, 2, u32(value))


def write_port32(port: u16, value: u32) -> None:
    machine.write_port(port, 4, value)


def order_stores() -> None:
    return


def publish_table() -> None:
    changes.publish()


def flush_hypervisor(address: u64, leaves: u64, order: u32) -> None:
    """Where one CPU cannot make all forget, the hypervisor's own way of asking each is taken."""
    if tlbs.asks_each:
        x86_tlb.flush_hypervisor(address, leaves, order)
    elif leaves > FEW:
        _forget(False, Mfn(0), 0, True, 0)
    else:
        for i in bounded(leaves, FEW):
            _forget(False, Mfn(0), 0, False, (address >> PAGE_SHIFT) + (i << order))


def flush_guest(root: Paddr, tag: u16) -> None:
    _forget(True, mfn_of(root), tag, True, 0)


def flush_guest_page(root: Paddr, tag: u16, guest_address: u64) -> None:
    _forget(True, mfn_of(root), tag, False, guest_address >> PAGE_SHIFT)


def _forget(guests: bool, root: Mfn, tag: u16, whole: bool, at: u64) -> None:
    changes.forget(tlbs.reached_from(cpu_id()), guests, root, tag, whole, at)


def exit_reason(number: u32) -> str:
    return "a guest's exit"


def frame_pointer() -> u64:
    return 0


def on_stack(address: u64) -> bool:
    return False


def code_address() -> u64:
    return 0


def stack_bottom() -> u64:
    return 0


def catch_fault(function: Callable[[], None]) -> bool:
    """A fault ends the process: `resume_after_fault`."""
    function()
    return False


def resume_after_fault() -> Never:
    machine.end(machine.HALTED)


def early_put(byte: u8) -> None:
    machine.put(byte)


def _note(address: u64, length: u64) -> None:
    """Tells the model of a store to RAM, by whole words."""
    if memory.in_ram(address):
        start = address & ~u64(7)
        changes.stored(start, (address + length - start + 7) & ~u64(7))
