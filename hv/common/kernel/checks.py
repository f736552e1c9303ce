"""What the checks that the C compiler puts into the code found, by their numbers.

Source: clang, lib/CodeGen/CodeGenFunction.h: LIST_SANITIZER_CHECKS. The number stands in the trapping instruction: BRK
0x5500 + number on arm64, UD1 with the number as displacement on x86 (boot/*/checks.S).
"""

from hv.lang import Final, u64

VALUE_OUT_OF_RANGE: Final = "value out of range"  # our own compiler's __builtin_trap has no number
STACK_PROTECTOR: Final = "stack protector: a function overran a local array"
UNSET_LIMIT: Final[u64] = 0x10_0000  # no object is larger; nothing is mapped there


def unset_in_words(address: u64) -> str:
    """Behind what is told of an access that faulted."""
    return ", through a reference that nobody has set" if address < UNSET_LIMIT else ""


def check_in_words(number: u64) -> str:
    match number:
        case 0:
            return "overflow in an addition"
        case 1:
            return "unreachable code reached"
        case 3:
            return "division by zero, or its result does not fit"
        case 10:
            return "value that its type does not have"
        case 11:
            return "end of a function without a result"
        case 12:
            return "overflow in a multiplication"
        case 13:
            return "overflow in a negation"
        case 18:
            return "array index out of bounds"
        case 19:
            return "pointer overflow"
        case 20:
            return "shift by too much"
        case 21:
            return "overflow in a subtraction"
        case _:
            return "check of an unknown kind"
