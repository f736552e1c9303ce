"""Reasons of exits in small numbers, for counting: SVM's own codes, of which those from 400h follow behind."""

from hv.lang import Final, truncate, u32, u64

NESTED_FAULT: Final[u64] = 0x400
LAST: Final[u64] = 0x8F
OTHER: Final[u32] = 0x91
REASONS: Final = 0x92


def reason_of(code: u64) -> u32:
    if code <= LAST:
        return truncate(u32, code)
    return 0x90 if code == NESTED_FAULT else OTHER


def reason_in_words(reason: u32) -> str:
    match reason:
        case 0x41:
            return "#DB"
        case 0x51:
            return "#AC"
        case 0x60:
            return "interrupt"
        case 0x61:
            return "NMI"
        case 0x64:
            return "interrupt window"
        case 0x72:
            return "CPUID"
        case 0x74:
            return "IRET"
        case 0x77:
            return "PAUSE"
        case 0x78:
            return "HLT"
        case 0x7B:
            return "port"
        case 0x7C:
            return "model-specific register"
        case 0x7F:
            return "shutdown"
        case 0x81:
            return "VMMCALL"
        case 0x8D:
            return "XSETBV"
        case 0x90:
            return "nested page fault"
        case 0x91:
            return "other"
        case _:
            return "instruction or exception"
