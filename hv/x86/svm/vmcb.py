"""The virtual machine control block, and what its words say (AMD APM 2, appendix B, and chapter 15).

Fields that no code here uses are there for their place. `clean` tells the CPU what it may still have cached of the last
run on it (15.15): who changes a group of fields clears its bit.
"""

from hv.lang import Bits, Field, Final, U8Enum, aligned, array, u8, u16, u32, u64


class Intercepts1(Bits[u32]):
    """At 00Ch."""

    interrupt = Field(0)
    nmi = Field(1)
    smi = Field(2)
    init = Field(3)
    window = Field(4)  # VINTR
    cr0_selective = Field(5)
    rdpmc = Field(15)
    cpuid = Field(18)
    rsm = Field(19)
    iret = Field(20)
    invd = Field(22)
    pause = Field(23)
    hlt = Field(24)
    invlpga = Field(26)
    ports = Field(27)
    registers = Field(28)
    task_switch = Field(29)
    ferr_freeze = Field(30)
    shutdown = Field(31)


class Intercepts2(Bits[u32]):
    """At 010h."""

    vmrun = Field(0)
    vmmcall = Field(1)
    vmload = Field(2)
    vmsave = Field(3)
    stgi = Field(4)
    clgi = Field(5)
    skinit = Field(6)
    wbinvd = Field(9)
    monitor = Field(10)
    mwait = Field(11)
    mwait_armed = Field(12)
    xsetbv = Field(13)
    rdpru = Field(14)


class VirtualInterrupt(Bits[u64]):
    """At 060h."""

    tpr = Field(7, 0)
    pending = Field(8)  # V_IRQ
    priority = Field(19, 16)
    ignore_tpr = Field(20)
    masking = Field(24)  # the host's IF decides over physical interrupts, the guest's over virtual ones
    vector = Field(39, 32)


class Injection(Bits[u64]):
    """EVENTINJ and EXITINTINFO."""

    vector = Field(7, 0)
    kind = Field(10, 8)
    has_error = Field(11)
    valid = Field(31)
    error = Field(63, 32)


class TlbControl(U8Enum):
    """At 05Ch."""

    NOTHING = 0
    ALL = 1  # of every ASID
    THIS = 3  # of this guest's ASID, where the CPU can
    THIS_NOT_GLOBAL = 7


class Clean(Bits[u32]):
    """What the CPU may take from its own caches."""

    intercepts = Field(0)
    permissions = Field(1)
    asid = Field(2)
    interrupt = Field(3)
    nested = Field(4)
    control = Field(5)  # CR0, CR3, CR4, EFER
    debug = Field(6)  # DR6, DR7
    tables = Field(7)  # GDTR, IDTR
    segments = Field(8)  # CS, DS, SS, ES and CPL
    cr2 = Field(9)
    branches = Field(10)


EVERYTHING: Final[u32] = 0x7FF
NESTED_PAGING: Final[u64] = 1
SHADOW: Final[u64] = 1


class SegmentRegister:
    selector: u16
    attributes: u16
    limit: u32
    base: u64


@aligned(4096)
class Vmcb:
    cr_reads: u16  # 000h: control area
    cr_writes: u16
    dr_reads: u16
    dr_writes: u16
    exceptions: u32
    intercepts1: Intercepts1
    intercepts2: Intercepts2
    intercepts3: u32
    reserved_018: array[u8, 36]
    pause_threshold: u16
    pause_count: u16
    iopm: u64  # 040h
    msrpm: u64
    tsc_offset: u64
    asid: u32
    tlb_control: TlbControl
    reserved_05d: array[u8, 3]
    interrupt: VirtualInterrupt  # 060h
    shadow: u64
    exit_code: u64  # 070h
    exit_info1: u64
    exit_info2: u64
    exit_event: Injection
    nested: u64  # 090h
    avic_bar: u64
    ghcb: u64
    injection: Injection
    nested_cr3: u64
    extensions: u64
    clean: Clean  # 0C0h
    reserved_0c4: u32
    next_rip: u64
    fetched: u8
    instruction: array[u8, 15]
    reserved_0e0: array[u8, 800]
    segments: array[SegmentRegister, 10]  # 400h: save area; ES CS SS DS FS GS GDTR LDTR IDTR TR
    reserved_4a0: array[u8, 43]
    cpl: u8
    reserved_4cc: u32
    efer: u64
    reserved_4d8: array[u8, 112]
    cr4: u64  # 548h
    cr3: u64
    cr0: u64
    dr7: u64
    dr6: u64
    rflags: u64
    rip: u64
    reserved_580: array[u8, 88]
    rsp: u64  # 5D8h
    s_cet: u64
    ssp: u64
    isst: u64
    rax: u64
    star: u64
    lstar: u64
    cstar: u64
    sfmask: u64
    kernel_gs_base: u64
    sysenter_cs: u64
    sysenter_esp: u64
    sysenter_eip: u64
    cr2: u64
    reserved_648: array[u8, 32]
    pat: u64  # 668h
    debug_control: u64
    branch_from: u64
    branch_to: u64
    exception_from: u64
    exception_to: u64
    reserved_698: array[u8, 2408]
