"""Single instructions: hints, interrupt masks, barriers, cache lines, translations, device registers."""

from hv.lang import Final, PerCpu, asm, extern, u8, u16, u32, u64

INTERRUPTS_MASKED: Final[u64] = 0x80  # PSTATE.I in DAIF


class ThisCpu(PerCpu):
    id: u32


@asm("yield")
def relax() -> None: ...


@asm("msr daifset, #2")
def interrupts_off() -> None: ...


@asm("msr daifclr, #2")
def interrupts_on() -> None: ...


@asm("msr daifclr, #2\n\tisb\n\tmsr daifset, #2")
def interrupt_window() -> None:
    """Whatever interrupt is pending is taken here."""
    ...


@asm("msr daifclr, #4")
def serrors_on() -> None:
    """A failed access of the hypervisor's is a panic at once. The first exit of a guest turns them off again: from
    then on they come while a guest runs, whoever caused them.
    """
    ...


@asm("dsb sy\n\twfi")
def wait_for_interrupt() -> None: ...


@asm("sev")
def send_event() -> None:
    """Wakes the CPUs that wait in WFE."""
    ...


@asm("isb")
def instruction_barrier() -> None: ...


@asm("dsb ish")
def complete_stores() -> None:
    """Returns when all stores before it are seen by all CPUs, and all cache and translation maintenance is done."""
    ...


@asm("dmb ishst")
def order_stores() -> None:
    """Stores before it are seen before those behind it."""
    ...


@asm("dsb ishst")
def order_table_stores() -> None: ...


@asm("dsb sy")
def complete_all() -> None: ...


@asm("dc cvau, {address}")
def clean_line_for_fetch(address: u64) -> None: ...


@asm("dc civac, {address}")
def clean_and_invalidate_line(address: u64) -> None: ...


@asm("ic ialluis")
def forget_instructions() -> None: ...


@asm("tlbi vae2is, {page}")
def forget_hypervisor_page(page: u64) -> None:
    """The operand is the address shifted right by 12."""
    ...


@asm("tlbi alle2is")
def forget_hypervisor() -> None:
    """All of the hypervisor's own, on all CPUs."""
    ...


@asm("tlbi alle2")
def forget_hypervisor_here() -> None: ...


@asm("tlbi ipas2e1is, {page}")
def forget_guest_page(page: u64) -> None:
    """Of the VMID in VTTBR_EL2; the operand is the guest-physical address shifted right by 12."""
    ...


@asm("tlbi vmalle1is")
def forget_guest_combined() -> None:
    """Stage 1 and combined translations of the VMID in VTTBR_EL2, on all CPUs."""
    ...


@asm("tlbi vmalls12e1is")
def forget_guest() -> None:
    """All translations of the VMID in VTTBR_EL2, on all CPUs."""
    ...


@asm("tlbi vmalle1")
def forget_guest_here() -> None:
    """Stage 1 and combined translations of the VMID in VTTBR_EL2, on this CPU."""
    ...


@asm("dsb nsh")
def complete_stores_here() -> None:
    """As `complete_stores`, of what concerns this CPU alone."""
    ...


@asm("at s1e1r, {address}")
def translate_guest_read(address: u64) -> None:
    """Through the loaded guest's own tables, as EL1 reads; PAR_EL1 has the result."""
    ...


@asm("at s1e1w, {address}")
def translate_guest_write(address: u64) -> None:
    """Through the loaded guest's own tables, as EL1 writes; PAR_EL1 has the result."""
    ...


@asm("mov {result}, x29")
def frame_pointer() -> u64: ...


@asm("ldrb {result:w}, [{address}]")
def read_device8(address: u64) -> u8: ...


@asm("ldrh {result:w}, [{address}]")
def read_device16(address: u64) -> u16: ...


@asm("ldr {result:w}, [{address}]")
def read_device32(address: u64) -> u32: ...


@asm("ldr {result}, [{address}]")
def read_device64(address: u64) -> u64: ...


@asm("strb {value:w}, [{address}]")
def write_device8(address: u64, value: u8) -> None: ...


@asm("strh {value:w}, [{address}]")
def write_device16(address: u64, value: u16) -> None: ...


@asm("str {value:w}, [{address}]")
def write_device32(address: u64, value: u32) -> None: ...


@asm("str {value}, [{address}]")
def write_device64(address: u64, value: u64) -> None: ...


@asm("str {value}, [{address}]")
def store_word(address: u64, value: u64) -> None:
    """In one piece."""
    ...


@extern
def stop_cpu() -> None:
    """Masks everything and sleeps for good (boot/arm64/vectors.S)."""
    ...


@extern
def zero_bytes(address: u64, length: u64) -> None:
    """Clears mapped normal memory (boot/arm64/memory.S)."""
    ...


@extern
def clean_blocks(start: u64, length: u64, block: u64) -> None:
    """Cleans whole cache lines, `block` bytes each, to the point of coherency (boot/arm64/memory.S)."""
    ...


@extern
def clean_and_invalidate_blocks(start: u64, length: u64, block: u64) -> None:
    """The same, and forgets them."""
    ...


@extern
def zero_and_clean_blocks(start: u64, length: u64, block: u64) -> None:
    """As `clean_blocks`, and clears them before, where DC ZVA's block is as large as a line."""
    ...


@extern
def copy_memory(to: u64, source: u64, length: u64) -> None:
    """boot/arm64/memory.S; the ranges do not overlap."""
    ...


@extern
def smc_call(function: u64, a: u64, b: u64, c: u64) -> u64:
    """boot/arm64/calls.S"""
    ...
