"""Single instructions: hints, interrupt masks, model-specific registers, ports, translations, device registers."""

from hv.lang import Final, PerCpu, asm, extern, u8, u16, u32, u64

INTERRUPTS_ENABLED: Final[u64] = 1 << 9  # RFLAGS.IF


class ThisCpu(PerCpu):
    id: u32


@asm("pause")
def relax() -> None: ...


@asm("cli")
def interrupts_off() -> None: ...


@asm("sti")
def interrupts_on() -> None: ...


@asm("pushfq\n\tpopq {result}")
def flags() -> u64:
    """RFLAGS."""
    ...


@asm("sti\n\tnop\n\tcli")
def interrupt_window() -> None:
    """Whatever interrupt is pending is taken here: behind STI one instruction runs before them."""
    ...


@asm("sti\n\thlt\n\tcli")
def wait_for_interrupt() -> None:
    """Nothing comes between STI and HLT, so an interrupt that was pending ends it as well."""
    ...


@asm("")
def order_stores() -> None:
    """Stores before it are seen before those behind it: the CPU does so by itself (Intel SDM 3A, 8.2), and the compiler
    here.
    """
    ...


@asm("mfence\n\tlfence")
def complete_stores() -> None:
    """All stores before it are seen by all CPUs, before anything behind it begins (Intel SDM 3A, 11.12.3)."""
    ...


@asm("lfence\n\trdtsc\n\tshlq $32, %rdx\n\torq %rdx, %rax", result="rax", changes="rdx")
def timestamp() -> u64:
    """The counter, not read before what stands before it."""
    ...


@asm("rdmsr\n\tshlq $32, %rdx\n\torq %rdx, %rax", register="rcx", result="rax", changes="rdx")
def read_msr(register: u32) -> u64:
    """A general protection fault when there is no such register."""
    ...


@extern
def read_msr_or(register: u32, otherwise: u64) -> u64:
    """`otherwise` when there is no such register (boot/x86/calls.S)."""
    ...


@asm("movq %rax, %rdx\n\tshrq $32, %rdx\n\twrmsr", register="rcx", value="rax", changes="rdx")
def write_msr(register: u32, value: u64) -> None: ...


@asm("xorl %ecx, %ecx\n\txgetbv\n\tshlq $32, %rdx\n\torq %rdx, %rax", result="rax", changes="rcx rdx")
def read_xcr0() -> u64: ...


@asm("movq %rax, %rdx\n\tshrq $32, %rdx\n\txorl %ecx, %ecx\n\txsetbv", value="rax", changes="rcx rdx")
def write_xcr0(value: u64) -> None: ...


@asm("inb %dx, %al\n\tmovzbl %al, %eax", port="rdx", result="rax")
def in8(port: u16) -> u8: ...


@asm("inw %dx, %ax\n\tmovzwl %ax, %eax", port="rdx", result="rax")
def in16(port: u16) -> u16: ...


@asm("inl %dx, %eax", port="rdx", result="rax")
def in32(port: u16) -> u32: ...


@asm("outb %al, %dx", port="rdx", value="rax")
def out8(port: u16, value: u8) -> None: ...


@asm("outw %ax, %dx", port="rdx", value="rax")
def out16(port: u16, value: u16) -> None: ...


@asm("outl %eax, %dx", port="rdx", value="rax")
def out32(port: u16, value: u32) -> None: ...


@asm("invlpg ({address})")
def forget_page(address: u64) -> None:
    """This CPU's translations of the page, global ones too, and what it caches of tables on the way."""
    ...


@asm(
    "movq %cr4, %rax\n\txorq $0x80, %rax\n\tmovq %rax, %cr4\n\txorq $0x80, %rax\n\tmovq %rax, %cr4",
    changes="rax",
)
def forget_all() -> None:
    """This CPU's translations, global ones too, and what it caches of tables: by turning CR4.PGE off and on again
    (Intel SDM 3A, 4.10.4.1; AMD APM 2, 5.5.2)."""
    ...


@asm("wbinvd")
def write_back_caches() -> None: ...


@asm("lgdt ({pointer})")
def load_gdt(pointer: u64) -> None:
    """Of ten bytes: the table's last byte's offset, its address."""
    ...


@asm("lidt ({pointer})")
def load_idt(pointer: u64) -> None: ...


@asm("ltr {selector:h}")
def load_task(selector: u16) -> None: ...


@asm("movq %rbp, {result}")
def frame_pointer() -> u64: ...


# Device registers of up to 32 bits go through the accumulator: AMD's CPUs ask for that where the registers are PCI
# configuration space (BKDG for family 10h, 2.11).
@asm("movb ({address}), %al\n\tmovzbl %al, %eax", result="rax")
def read_device8(address: u64) -> u8: ...


@asm("movw ({address}), %ax\n\tmovzwl %ax, %eax", result="rax")
def read_device16(address: u64) -> u16: ...


@asm("movl ({address}), %eax", result="rax")
def read_device32(address: u64) -> u32: ...


@asm("movq ({address}), {result}")
def read_device64(address: u64) -> u64: ...


@asm("movb %al, ({address})", value="rax")
def write_device8(address: u64, value: u8) -> None: ...


@asm("movw %ax, ({address})", value="rax")
def write_device16(address: u64, value: u16) -> None: ...


@asm("movl %eax, ({address})", value="rax")
def write_device32(address: u64, value: u32) -> None: ...


@asm("movq {value}, ({address})")
def write_device64(address: u64, value: u64) -> None: ...


@asm("movq {value}, ({address})")
def store_word(address: u64, value: u64) -> None:
    """In one piece."""
    ...


@asm("int3")
def breakpoint() -> None: ...


@asm("mulq {b}\n\tshrdq $32, %rdx, %rax", pure=True, a="rax", result="rax", changes="rdx")
def scaled(a: u64, b: u64) -> u64:
    """a * b >> 32, the product in 128 bits."""
    ...
