"""What an instruction does that reached a page which the hypervisor plays: loads and stores of one operand in memory,
and what takes one from there to arithmetic. Where the operand lies the fault has told; the decoder finds what is done
with it, and where the next instruction begins.

Source: Intel SDM 2, chapter 2 and the opcode map.
"""

from hv.lang import Errno, Final, U8Enum, array, raises, u8, u32, u64, value

LONGEST: Final = 15
MAX_PREFIXES: Final = 14

REX: Final[u8] = 0x40
REX_W: Final[u8] = 1 << 3
REX_R: Final[u8] = 1 << 2


class Mode(U8Enum):
    """Of the code: how wide operands and addresses are without a prefix."""

    BITS_16 = 0
    BITS_32 = 1
    BITS_64 = 2


class Action(U8Enum):
    LOAD = 0  # memory to register, extended to `wide` bytes
    STORE = 1  # register or immediate to memory
    EXCHANGE = 2
    TO_MEMORY = 3  # arithmetic whose first operand, and mostly its result, is in memory
    TO_REGISTER = 4
    TEST = 5


class Code:
    """The bytes of an instruction, as far as they could be read. `overrun`: more of them were asked for."""

    bytes: array[u8, LONGEST]
    length: u32
    overrun: bool

    def byte(self, index: u32) -> u8:
        """0 behind the end."""
        if index < self.length:
            return self.bytes[index]
        self.overrun = True
        return 0

    def number(self, index: u32, size: u32) -> u64:
        """Of 1, 2 or 4 bytes, with its sign, in 64 bits."""
        low = u64(self.byte(index))
        if size == 1:
            return extended(low, 1)
        low |= u64(self.byte(index + 1)) << 8
        if size == 2:
            return extended(low, 2)
        return extended(low | u64(self.byte(index + 2)) << 16 | u64(self.byte(index + 3)) << 24, 4)


@value
class Decoded:
    action: Action
    operation: u32  # of arithmetic: ADD OR ADC SBB AND SUB XOR CMP
    size: u32  # bytes of the operand in memory
    wide: u32  # bytes of the register that is loaded
    extends: bool  # a load extends the sign
    which: u32  # the register, by its number
    high: bool  # the register is one of AH, CH, DH, BH, of which `which` is the whole
    immediate: bool  # the other operand is `number`
    number: u64
    length: u32


class Decoder:
    """Works on one instruction."""

    code: Code
    mode: Mode
    at: u32
    rex: u8
    narrow: bool  # prefix 66
    short_address: bool  # prefix 67

    @raises
    def decode(self, code: Code, mode: Mode) -> Decoded:
        """EINVAL: none of those that are known, or not all of it is there."""
        self.code = code
        self.mode = mode
        self._prefixes()
        opcode = self._next()
        decoded = self._two_bytes(self._next()) if opcode == 0x0F else self._one_byte(opcode)
        if decoded.length > code.length or decoded.length > LONGEST:
            code.overrun = True
            raise Errno.EINVAL
        return decoded

    @raises
    def _prefixes(self) -> None:
        self.at = 0
        self.rex = 0
        self.narrow = False
        self.short_address = False
        for _ in range(MAX_PREFIXES):
            byte = self.code.byte(self.at)
            if self.mode == Mode.BITS_64 and byte & 0xF0 == REX:
                self.rex = byte
            elif byte in (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0xF0, 0xF2, 0xF3):
                self.rex = 0  # that is one only right before the opcode
            elif byte == 0x66:
                self.narrow = True
                self.rex = 0
            elif byte == 0x67:
                self.short_address = True
                self.rex = 0
            else:
                return
            self.at += 1
        raise Errno.EINVAL

    @raises
    def _one_byte(self, opcode: u8) -> Decoded:
        size = 1 if opcode & 1 == 0 else self._operand()
        if opcode < 0x40 and opcode & 7 < 4:
            action = Action.TO_MEMORY if opcode & 2 == 0 else Action.TO_REGISTER
            return self._with_register(action, u32(opcode >> 3), size)
        match opcode:
            case 0x80 | 0x81 | 0x83:
                operation = u32(self._peek() >> 3 & 7)
                return self._with_immediate(Action.TO_MEMORY, operation, size, 1 if opcode != 0x81 else min(size, 4))
            case 0x84 | 0x85:
                return self._with_register(Action.TEST, 0, size)
            case 0x86 | 0x87:
                return self._with_register(Action.EXCHANGE, 0, size)
            case 0x88 | 0x89:
                return self._with_register(Action.STORE, 0, size)
            case 0x8A | 0x8B:
                return self._with_register(Action.LOAD, 0, size)
            case 0xA0 | 0xA1:
                return self._at_offset(Action.LOAD, size)
            case 0xA2 | 0xA3:
                return self._at_offset(Action.STORE, size)
            case 0xC6 | 0xC7:
                if self._peek() >> 3 & 7 == 0:
                    return self._with_immediate(Action.STORE, 0, size, min(size, 4))
            case 0xF6 | 0xF7:
                if self._peek() >> 3 & 7 < 2:
                    return self._with_immediate(Action.TEST, 0, size, min(size, 4))
            case 0x63:
                if self.mode == Mode.BITS_64:
                    return self._extending(4, True)
            case _:
                pass
        raise Errno.EINVAL

    @raises
    def _two_bytes(self, opcode: u8) -> Decoded:
        match opcode:
            case 0xB6:
                return self._extending(1, False)
            case 0xB7:
                return self._extending(2, False)
            case 0xBE:
                return self._extending(1, True)
            case 0xBF:
                return self._extending(2, True)
            case _:
                raise Errno.EINVAL

    # Operands

    def _next(self) -> u8:
        byte = self.code.byte(self.at)
        self.at += 1
        return byte

    def _peek(self) -> u8:
        return self.code.byte(self.at)

    def _operand(self) -> u32:
        """Bytes of an operand that is no byte."""
        if self.rex & REX_W != 0:
            return 8
        return 4 if self.narrow == (self.mode == Mode.BITS_16) else 2

    @raises
    def _with_register(self, action: Action, operation: u32, size: u32) -> Decoded:
        register = self._modrm()
        high = size == 1 and self.rex == 0 and register >= 4
        whole = register - 4 if high else register
        return Decoded(action, operation, size, size, False, whole, high, False, 0, self.at)

    @raises
    def _with_immediate(self, action: Action, operation: u32, size: u32, bytes: u32) -> Decoded:
        self._modrm()
        number = self.code.number(self.at, bytes)
        return Decoded(action, operation, size, size, False, 0, False, True, number, self.at + bytes)

    @raises
    def _extending(self, size: u32, signed: bool) -> Decoded:
        wide = self._operand()
        register = self._modrm()
        return Decoded(Action.LOAD, 0, min(size, wide), wide, signed, register, False, False, 0, self.at)

    def _at_offset(self, action: Action, size: u32) -> Decoded:
        """AL, AX, EAX or RAX, and an address in the instruction."""
        bytes: u32 = 4
        if self.mode == Mode.BITS_64:
            bytes = 4 if self.short_address else 8
        elif self.short_address != (self.mode == Mode.BITS_16):
            bytes = 2
        return Decoded(action, 0, size, size, False, 0, False, False, 0, self.at + bytes)

    @raises
    def _modrm(self) -> u32:
        """Goes past ModRM, SIB and displacement. Returns the register that ModRM names. EINVAL: its other operand is a
        register too."""
        modrm = self._next()
        form = modrm >> 6
        base = modrm & 7
        if form == 3:
            raise Errno.EINVAL
        if self.mode != Mode.BITS_64 and self.short_address != (self.mode == Mode.BITS_16):
            if form == 1:
                self.at += 1
            elif form == 2 or base == 6:
                self.at += 2
        else:
            if base == 4:
                base = self._next() & 7
            if form == 1:
                self.at += 1
            elif form == 2 or base == 5:
                self.at += 4
        return u32(modrm >> 3 & 7) + (8 if self.rex & REX_R != 0 else 0)


def extended(number: u64, size: u32) -> u64:
    """With the sign of its bytes, in 64 bits."""
    match size:
        case 1:
            return number | ~u64(0xFF) if number & 0x80 != 0 else number
        case 2:
            return number | ~u64(0xFFFF) if number & 0x8000 != 0 else number
        case 4:
            return number | ~u64(0xFFFF_FFFF) if number & 0x8000_0000 != 0 else number
        case _:
            return number


def mask_of(size: u32) -> u64:
    return ~u64(0) >> 64 - 8 * size
