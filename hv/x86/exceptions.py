"""Exceptions of the hypervisor itself: each is the end, with registers, reason and a backtrace. NMIs are in nmi.py.

The stubs are in boot/x86/vectors.S. Checks that the C compiler puts in end in boot/x86/checks.S with UD1, whose
displacement is the number of the check; the traps that our own compiler uses for values that do not fit are UD2.
"""

from hv.common.kernel.checks import STACK_PROTECTOR, VALUE_OUT_OF_RANGE, check_in_words, unset_in_words
from hv.common.kernel.panic import MachineState, line, trapped
from hv.lang import Bits, Field, Final, Message, Never, assembly_layout, bounded, export, ptr, symbol, u8, u32, u64
from hv.x86.cpu import read_msr, read_msr_or
from hv.x86.layout import in_stack_hole, in_text
from hv.x86.sysreg import CR2, CR3

MACHINE_CHECK: Final = 18
MAX_FIXUPS: Final = 64

UD2: Final[u64] = 0x0B0F
UD1: Final[u64] = 0x40B9_0F67  # with a displacement of eight bits to eax
CANARY: Final[u64] = 0x54  # boot/x86/vectors.S


MCG_CAPABILITIES: Final[u32] = 0x179
MC0_STATUS: Final[u32] = 0x401
BANK_VALID: Final[u64] = 1 << 63


class PageFaultError(Bits[u64]):
    """Intel SDM 3A, 4.7."""

    present = Field(0)
    write = Field(1)
    user = Field(2)
    reserved = Field(3)
    fetch = Field(4)


@assembly_layout
class FaultFrame(MachineState):
    """What the stub and the CPU store."""

    r15: u64
    r14: u64
    r13: u64
    r12: u64
    rbp: u64
    rbx: u64
    r11: u64
    r10: u64
    r9: u64
    r8: u64
    rax: u64
    rcx: u64
    rdx: u64
    rsi: u64
    rdi: u64
    vector: u64
    error: u64
    rip: u64
    cs: u64
    rflags: u64
    rsp: u64
    ss: u64

    def end(self, message: Message) -> Never:
        """When a check called its handler, or the code went astray, the backtrace begins with where it came from: the
        return address on the stack."""
        called = not in_text(self.rip) or symbol("checks_start") <= self.rip < symbol("checks_end")
        if called and not in_stack_hole(self.rsp):
            trapped(message, self, ptr[u64](self.rsp)[0] - 1, self.rbp)
        trapped(message, self, self.rip, self.rbp)

    def print(self) -> None:
        line(f"  rip {self.rip:016x} rsp {self.rsp:016x} rflags {self.rflags:08x}")
        line(f"  vector {self.vector} error {self.error:x} cr2 {CR2.read():016x} cr3 {CR3.read():016x}")
        line(f"  rax {self.rax:016x} {self.rbx:016x} {self.rcx:016x} {self.rdx:016x}")
        line(f"  rsi {self.rsi:016x} {self.rdi:016x} {self.rbp:016x} {self.r8:016x}")
        line(f"  r9  {self.r9:016x} {self.r10:016x} {self.r11:016x} {self.r12:016x}")
        line(f"  r13 {self.r13:016x} {self.r14:016x} {self.r15:016x}")
        if self.vector == MACHINE_CHECK:
            print_banks()


@export
def exception_taken(frame: FaultFrame) -> None:
    """Called by the stub. Returns when the interrupted code may go on."""
    match frame.vector:
        case 6:
            frame.end(f"{undefined_in_words(frame.rip)}")
        case 8:
            if in_stack_hole(CR2.read()):
                frame.end("stack overflow")
            frame.end("double fault")
        case 13:
            if not fixed_up(frame):
                frame.end(f"general protection fault, error code {frame.error:#x}")
        case 18:
            frame.end("machine check")
        case 14:
            page_fault(frame, PageFaultError(frame.error), CR2.read())
        case _:
            frame.end(f"{kind_in_words(frame.vector)}, error code {frame.error:#x}")


def fixed_up(frame: FaultFrame) -> bool:
    """Goes on elsewhere when the instruction is one that may fault (boot/x86/calls.S)."""
    start = symbol("__fixups_start")
    for i in bounded((symbol("__fixups_end") - start) // 16, MAX_FIXUPS):
        fixup = ptr[u64](start + i * 16)
        if fixup[0] == frame.rip:
            frame.rip = fixup[1]
            return True
    return False


def page_fault(frame: FaultFrame, error: PageFaultError, address: u64) -> Never:
    if in_stack_hole(address):
        frame.end("stack overflow")
    what = "fetch" if error.fetch else "write" if error.write else "read"
    if error.reserved:
        frame.end(f"page fault: a table has reserved bits set, {what} at {address:#x}")
    why = "protection" if error.present else "nothing is mapped"
    frame.end(f"page fault: {why}, {what} at {address:#x}{unset_in_words(address)}")


def undefined_in_words(address: u64) -> str:
    """Of the instruction there."""
    if not in_text(address) or not in_text(address + 4):
        return "invalid opcode"
    code = ptr[u8](address)
    if u64(code[0]) | u64(code[1]) << 8 == UD2:
        return VALUE_OUT_OF_RANGE
    if u64(code[0]) | u64(code[1]) << 8 | u64(code[2]) << 16 | u64(code[3]) << 24 != UD1:
        return "invalid opcode"
    check = u64(code[4])
    return STACK_PROTECTOR if check == CANARY else check_in_words(check)


def print_banks() -> None:
    """What the machine check banks hold (Intel SDM 3B, 15.3.2)."""
    for bank in bounded(read_msr(MCG_CAPABILITIES) & 0xFF, 256):
        status = read_msr(MC0_STATUS + u32(bank) * 4)
        if status & BANK_VALID != 0:
            address = read_msr_or(MC0_STATUS + 1 + u32(bank) * 4, 0)
            line(f"  bank {bank}: status {status:016x} address {address:016x}")


def kind_in_words(vector: u64) -> str:
    """Intel SDM 3A, table 6-1."""
    match vector:
        case 0:
            return "division error"
        case 1:
            return "debug exception"
        case 3:
            return "breakpoint"
        case 4:
            return "overflow"
        case 5:
            return "BOUND range exceeded"
        case 7:
            return "use of FPU, MMX or SSE registers"
        case 10:
            return "invalid TSS"
        case 11:
            return "segment not present"
        case 12:
            return "stack segment fault"
        case 16:
            return "x87 floating-point error"
        case 17:
            return "misaligned access"
        case 19:
            return "SIMD floating-point error"
        case 20:
            return "virtualisation exception"
        case 21:
            return "control protection exception"
        case 28:
            return "hypervisor injection exception"
        case 29:
            return "VMM communication exception"
        case 30:
            return "security exception"
        case _:
            return "exception of an unknown kind"
