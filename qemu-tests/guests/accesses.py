"""Instructions that use memory at x0, with x1 and x2 (Arm DDI 0487, C4): loads and stores of all widths and kinds, and
maintenance by address. All are ready to be called.
"""

from guests.attempts import RET, Code, written
from hv.lang import Final, address_of, array, u32, u64

WORDS: Final[array[u32, 40]] = array(
    0x39400001,  # ldrb w1, [x0]
    0x79400001,  # ldrh w1, [x0]
    0xB9400001,  # ldr w1, [x0]
    0xF9400001,  # ldr x1, [x0]
    0x39000001,  # strb w1, [x0]
    0x79000001,  # strh w1, [x0]
    0xB9000001,  # str w1, [x0]
    0xF9000001,  # str x1, [x0]
    0x39400000,  # ldrb w0, [x0]
    0x79400000,  # ldrh w0, [x0]
    0xB9400000,  # ldr w0, [x0]
    0xF9400000,  # ldr x0, [x0]
    0x39800001,  # ldrsb x1, [x0]
    0x39C00001,  # ldrsb w1, [x0]
    0x79800001,  # ldrsh x1, [x0]
    0xB9800001,  # ldrsw x1, [x0]
    0xF940001F,  # ldr xzr, [x0]
    0xF900001F,  # str xzr, [x0]
    0xF8408401,  # ldr x1, [x0], #8
    0xB8004C01,  # str w1, [x0, #4]!
    0xF8401001,  # ldur x1, [x0, #1]
    0xB8003001,  # stur w1, [x0, #3]
    0x78401001,  # ldurh w1, [x0, #1]
    0xA9400801,  # ldp x1, x2, [x0]
    0xA9000801,  # stp x1, x2, [x0]
    0x29400801,  # ldp w1, w2, [x0]
    0x3D800000,  # str q0, [x0]
    0xC85F7C01,  # ldxr x1, [x0]
    0xC8027C01,  # stxr w2, x1, [x0]
    0x885F7C01,  # ldxr w1, [x0]
    0xC87F0801,  # ldxp x1, x2, [x0]
    0xC8230801,  # stxp w3, x1, x2, [x0]
    0xF8E10002,  # ldaddal x1, x2, [x0]
    0xC8DFFC01,  # ldar x1, [x0]
    0xC89FFC01,  # stlr x1, [x0]
    0xD50B7420,  # dc zva, x0
    0xD50B7E20,  # dc civac, x0
    0xD5087620,  # dc ivac, x0
    0xD50B7520,  # ic ivau, x0
    0xF9800000,  # prfm pldl1keep, [x0]
)
ACCESSES: Final = 40
PLAIN: Final = 8  # the first: loads into x1 and stores of 1, 2, 4 and 8 bytes
STORES: Final = 4
LOADS: Final = 8  # into x0
FIRST_ODD: Final = 12  # from here on they are of other kinds

accesses: Final = Code()


def prepare_accesses() -> None:
    for i in range(ACCESSES):
        accesses.words[2 * i] = WORDS[i]
        accesses.words[2 * i + 1] = RET
    written()


def access(number: u64) -> u64:
    """Where the code is that does it."""
    return address_of(accesses) + 8 * number
