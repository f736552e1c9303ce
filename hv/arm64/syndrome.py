"""What an exception's syndrome says, in words (Arm DDI 0487, ESR_EL2)."""

from hv.lang import Bits, Field, Final, u32, u64


class Syndrome(Bits[u64]):
    """ESR_EL2."""

    iss = Field(24, 0)
    long_instruction = Field(25)
    kind = Field(31, 26)


UNKNOWN: Final[u64] = 0x00
GUEST_INSTRUCTION_ABORT: Final[u64] = 0x20
INSTRUCTION_ABORT: Final[u64] = 0x21
GUEST_DATA_ABORT: Final[u64] = 0x24
DATA_ABORT: Final[u64] = 0x25
BREAKPOINT_INSTRUCTION: Final[u64] = 0x3C


# Reasons of a guest's exit: a synchronous exception's kind, or what follows
INTERRUPT_EXIT: Final[u32] = 64
SERROR_EXIT: Final[u32] = 65
EXIT_REASONS: Final = 66


def instruction_length(syndrome: Syndrome) -> u64:
    """Bytes of the instruction that came here. Guests may run AArch32 code in EL0, some of whose have two."""
    return 2 + 2 * u64(syndrome.long_instruction)


def exit_in_words(reason: u32) -> str:
    if reason == INTERRUPT_EXIT:
        return "interrupt"
    if reason == SERROR_EXIT:
        return "SError"
    return kind_in_words(Syndrome(kind=u64(reason)))


def kind_in_words(syndrome: Syndrome) -> str:
    match syndrome.kind:
        case 0x00:
            return "undefined instruction"
        case 0x01:
            return "WFI or WFE"
        case 0x03 | 0x04 | 0x05 | 0x06 | 0x08 | 0x0C:
            return "access to a coprocessor register from AArch32"
        case 0x07:
            return "use of FP or SIMD registers"
        case 0x0D:
            return "branch target exception"
        case 0x0E:
            return "illegal execution state"
        case 0x11 | 0x15:
            return "SVC"
        case 0x12 | 0x16:
            return "HVC"
        case 0x13 | 0x17:
            return "SMC"
        case 0x18:
            return "access to a system register"
        case 0x19:
            return "use of SVE registers"
        case 0x20 | 0x21:
            return "instruction abort"
        case 0x22:
            return "misaligned PC"
        case 0x24 | 0x25:
            return "data abort"
        case 0x26:
            return "misaligned SP"
        case 0x2F:
            return "SError"
        case 0x30 | 0x31:
            return "breakpoint"
        case 0x32 | 0x33:
            return "software step"
        case 0x34 | 0x35:
            return "watchpoint"
        case 0x38 | 0x3C:
            return "breakpoint instruction"
        case _:
            return "exception of an unknown kind"


def is_abort(syndrome: Syndrome) -> bool:
    """An instruction or data abort: the fault address is valid, and `fault_in_words` says why."""
    return syndrome.kind in (GUEST_INSTRUCTION_ABORT, INSTRUCTION_ABORT, GUEST_DATA_ABORT, DATA_ABORT)


def is_write(syndrome: Syndrome) -> bool:
    """Of a data abort."""
    return syndrome.iss & 1 << 6 != 0


def fault_in_words(syndrome: Syndrome) -> str:
    """The fault status of an abort: its kind, and the level of the walk where it has one."""
    match syndrome.iss & 0x3F:
        case 0x00 | 0x01 | 0x02 | 0x03:
            return "address size fault"
        case 0x04:
            return "translation fault at level 0"
        case 0x05:
            return "translation fault at level 1"
        case 0x06:
            return "translation fault at level 2"
        case 0x07:
            return "translation fault at level 3"
        case 0x08 | 0x09 | 0x0A | 0x0B:
            return "access flag fault"
        case 0x0C | 0x0D | 0x0E | 0x0F:
            return "permission fault"
        case 0x10:
            return "external abort"
        case 0x14 | 0x15 | 0x16 | 0x17:
            return "external abort on a table walk"
        case 0x18 | 0x1C | 0x1D | 0x1E | 0x1F:
            return "parity or ECC error"
        case 0x21:
            return "misaligned access"
        case 0x30:
            return "TLB conflict"
        case 0x34 | 0x35:
            return "unsupported exclusive or atomic access"
        case _:
            return "fault of an unknown kind"
