"""Single instructions."""

from hv.lang import asm, u8, u16, u32, u64


@asm("outb %al, %dx", port="rdx", value="rax")
def out8(port: u16, value: u8) -> None: ...


@asm("inb %dx, %al\n\tmovzbl %al, %eax", port="rdx", result="rax")
def in8(port: u16) -> u8: ...


@asm("cpuid", leaf="rax", subleaf="rcx", results="rax rbx rcx rdx")
def cpuid(leaf: u32, subleaf: u32) -> tuple[u32, u32, u32, u32]: ...


@asm("rdmsr\n\tshlq $32, %rdx\n\torq %rdx, %rax", register="rcx", result="rax", changes="rdx")
def read_msr(register: u32) -> u64: ...


@asm("movq %rax, %rdx\n\tshrq $32, %rdx\n\twrmsr", register="rcx", value="rax", changes="rdx")
def write_msr(register: u32, value: u64) -> None: ...


@asm("rdtsc\n\tshlq $32, %rdx\n\torq %rdx, %rax", result="rax", changes="rdx")
def timestamp() -> u64: ...


@asm("lidt ({pointer})")
def load_idt(pointer: u64) -> None: ...


@asm("lgdt ({pointer})")
def load_gdt(pointer: u64) -> None: ...


@asm("ltr {selector:h}")
def load_task(selector: u16) -> None: ...


@asm("movq %cr3, %rax\n\tmovq %rax, %cr3", changes="rax")
def flush() -> None:
    """Forgets what the CPU has cached of the page tables."""
    ...


@asm("movq {root}, %cr3")
def use_map(root: u64) -> None:
    """Page tables."""
    ...


@asm("sti\n\thlt\n\tcli")
def wait_for_interrupt() -> None: ...


@asm("cli\n\thlt")
def halt() -> None:
    """With interrupts off, which none ends."""
    ...


@asm("pause")
def pause() -> None: ...


@asm("sti")
def interrupts_on() -> None: ...


@asm("cli")
def interrupts_off() -> None: ...


@asm("sti\n\tnop\n\tcli")
def interrupt_window() -> None: ...


@asm("movq {value}, %cr8")
def set_task_priority(value: u64) -> None: ...


@asm("movl ({address}), {result:w}")
def read32(address: u64) -> u32: ...


@asm("movl {value:w}, ({address})")
def write32(address: u64, value: u32) -> None: ...


@asm("xchgl %eax, ({address})", value="rax", result="rax")
def exchange32(address: u64, value: u32) -> u32: ...


@asm("orl {value:w}, ({address})")
def or32(address: u64, value: u32) -> None: ...


@asm("movq %cr0, {result}")
def read_cr0() -> u64: ...


@asm("movq {value}, %cr0")
def write_cr0(value: u64) -> None: ...


@asm("movq %cr4, %rax\n\torq $0x40000, %rax\n\tmovq %rax, %cr4", changes="rax")
def allow_xsave() -> None:
    """CR4.OSXSAVE."""
    ...


@asm("xorl %ecx, %ecx\n\txgetbv\n\tshlq $32, %rdx\n\torq %rdx, %rax", result="rax", changes="rcx rdx")
def read_xcr0() -> u64: ...


@asm("xorl %ecx, %ecx\n\txorl %edx, %edx\n\txsetbv", value="rax", changes="rcx rdx")
def write_xcr0(value: u32) -> None: ...


@asm("rdtscp", result="rcx", changes="rax rdx")
def processor() -> u32:
    """TSC_AUX, by RDTSCP."""
    ...
