"""The decoder against capstone, and what it says together with the arithmetic against unicorn, which executes."""

import random

import capstone
import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from unicorn import x86_const as x

from compiler.hostbuild import Raised
from tests.common.host import host

MODES = {0: capstone.CS_MODE_16, 1: capstone.CS_MODE_32, 2: capstone.CS_MODE_64}
LOAD, STORE, EXCHANGE, TO_MEMORY, TO_REGISTER, TEST = range(6)
ARITHMETIC = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"]
KNOWN = {"mov", "movabs", "movzx", "movsx", "movsxd", "xchg", "test", *ARITHMETIC}
OPCODES = [
    *(bytes([op * 8 + form]) for op in range(8) for form in range(4)),
    *(bytes([n]) for n in (0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B)),
    *(bytes([n]) for n in (0xA0, 0xA1, 0xA2, 0xA3, 0xC6, 0xC7, 0xF6, 0xF7, 0x63)),
    *(bytes([0x0F, n]) for n in (0xB6, 0xB7, 0xBE, 0xBF)),
]
SHORT = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", *(f"r{n}w" for n in range(8, 16))}
PREFIXES = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67]


def decode(code, mode):
    place = host().variable("hv.sim.svm.decoding").code
    place.length = min(len(code), 15)
    place.overrun = False
    for i in range(15):
        place.bytes[i] = code[i] if i < len(code) else 0
    try:
        return host().call("hv.sim.svm.decode", mode)
    except Raised:
        return None


def expected(code, mode):
    """Capstone's instruction, when it is one of ours with an operand in memory and no segment register."""
    engine = capstone.Cs(capstone.CS_ARCH_X86, MODES[mode])
    engine.detail = True
    found = next(engine.disasm(bytes(code), 0x1000, 1), None)
    if found is None or found.mnemonic.split()[-1] not in KNOWN:
        return None
    operands = found.operands
    if not any(o.type == capstone.x86.X86_OP_MEM for o in operands):
        return None
    registers = [found.reg_name(o.reg) for o in operands if o.type == capstone.x86.X86_OP_REG]
    if any(name in ("es", "cs", "ss", "ds", "fs", "gs") for name in registers):
        return None
    if found.mnemonic == "movsxd" and registers[0] in SHORT:
        return None  # its operand has 16 bits (SDM 2, MOVSXD); capstone says 32
    return found


def encoding(draw):
    count = draw(st.integers(0, 2))
    prefixes = bytes(draw(st.sampled_from(PREFIXES)) for _ in range(count))
    mode = draw(st.sampled_from(sorted(MODES)))
    rex = bytes([draw(st.integers(0x40, 0x4F))]) if mode == 2 and draw(st.booleans()) else b""
    return mode, prefixes + rex + draw(st.sampled_from(OPCODES)) + draw(st.binary(min_size=12, max_size=12))


@given(st.data())
@settings(max_examples=1500, deadline=None)
def test_what_is_decoded_is_what_capstone_decodes(data):
    mode, code = encoding(data.draw)
    code = code[:15]
    ours, theirs = decode(code, mode), expected(code, mode)
    if theirs is None:
        return
    assert ours is not None, f"{code.hex()} {theirs.mnemonic} {theirs.op_str}"
    where = f"{code[: theirs.size].hex()} {theirs.mnemonic} {theirs.op_str} in mode {mode}"
    assert ours.length == theirs.size, where
    memory = next(o for o in theirs.operands if o.type == capstone.x86.X86_OP_MEM)
    assert ours.size == memory.size, where
    name = theirs.mnemonic
    first = theirs.operands[0].type == capstone.x86.X86_OP_MEM
    if name in ARITHMETIC:
        assert ours.action == (TO_MEMORY if first else TO_REGISTER) and ours.operation == ARITHMETIC.index(name), where
    elif name == "test":
        assert ours.action == TEST, where
    elif name == "xchg":
        assert ours.action == EXCHANGE, where
    else:
        assert ours.action == (STORE if first else LOAD), where


@given(st.sampled_from([0, 1, 2]), st.binary(min_size=0, max_size=15))
@settings(max_examples=800, deadline=None)
def test_any_bytes_are_decoded_as_capstone_does_or_refused(mode, code):
    ours = decode(code, mode)
    if ours is None:
        return
    assert ours.length <= len(code)
    engine = capstone.Cs(capstone.CS_ARCH_X86, MODES[mode])
    found = next(engine.disasm(code, 0x1000, 1), None)
    if found is not None and not found.mnemonic.startswith(("rep", "lock", "xacquire", "xrelease", "data16")):
        assert found.size == ours.length, f"{code.hex()} {found.mnemonic} {found.op_str}"


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_an_instruction_that_is_not_all_there_is_told_from_one_that_is_unknown(data):
    """Whatever is missing of it: the guest gets a page fault for the page that is not there, and no #UD."""
    mode, code = encoding(data.draw)
    whole = decode(code[:15], mode)
    if whole is None:
        return
    length = data.draw(st.integers(0, whole.length - 1))
    assert decode(code[:length], mode) is None
    assert host().variable("hv.sim.svm.decoding").code.overrun, code[:length].hex()


NAMES = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{n}" for n in range(8, 16))]
REGISTERS = [getattr(x, f"UC_X86_REG_{name}") for name in NAMES]
CODE, DATA = 0x10000, 0x20000
FLAGS = 0x8D5
BASE = 3  # RBX has the operand's address


def mask(size):
    return (1 << 8 * size) - 1


def signed(value, size):
    value &= mask(size)
    return value - (1 << 8 * size) if value >> 8 * size - 1 else value


def execute(it, registers, memory, flags):
    """As hv/x86/hvm/mmio.py does."""
    other = it.number if it.immediate else registers[it.which] >> (8 if it.high else 0)
    other &= mask(it.size)

    def put(value):
        wide = it.wide
        if wide == 4:
            registers[it.which] = value & mask(4)
        elif it.high:
            registers[it.which] = registers[it.which] & ~0xFF00 | (value & 0xFF) << 8
        else:
            registers[it.which] = registers[it.which] & ~mask(wide) | value & mask(wide)

    def compute(operation, first, second):
        found = host().call("hv.x86.hvm.alu.compute", operation, first, second, it.size, bool(flags & 1))
        return found.value, flags & ~FLAGS | found.flags

    if it.action == LOAD:
        put(signed(memory, it.size) if it.extends else memory)
    elif it.action == STORE:
        memory = other
    elif it.action == EXCHANGE:
        before, memory = memory, other
        put(before)
    elif it.action == TEST:
        _, flags = compute(4, memory, other)
    elif it.action == TO_MEMORY:
        result, flags = compute(it.operation, memory, other)
        memory = memory if it.operation == 7 else result
    else:
        result, flags = compute(it.operation, other, memory)
        if it.operation != 7:
            put(result)
    return memory, flags


def run(code, registers, memory, flags):
    """What unicorn makes of it; None: it does not execute this."""
    machine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    machine.mem_map(CODE, 0x1000)
    machine.mem_map(DATA, 0x1000)
    machine.mem_write(CODE, code)
    machine.mem_write(DATA, memory.to_bytes(8, "little"))
    for register, value in zip(REGISTERS, registers, strict=True):
        machine.reg_write(register, value)
    machine.reg_write(x.UC_X86_REG_EFLAGS, flags)
    try:
        machine.emu_start(CODE, CODE + len(code), count=1)
    except unicorn.UcError:
        return None
    after = [machine.reg_read(register) for register in REGISTERS]
    return after, int.from_bytes(machine.mem_read(DATA, 8), "little"), machine.reg_read(x.UC_X86_REG_EFLAGS)


def one(seed):
    rng = random.Random(seed)
    registers = [rng.choice([rng.getrandbits(64), rng.getrandbits(8), mask(rng.choice([7, 8, 31, 32, 63, 64]) // 8)])
                 for _ in range(16)]  # fmt: skip
    registers[BASE] = DATA
    memory = rng.choice([rng.getrandbits(64), 0, mask(8), 0x8000_0000_8000_8080])
    flags = 2 | rng.getrandbits(12) & FLAGS
    opcode = rng.choice([o for o in OPCODES if o[0] not in range(0xA0, 0xA4)])
    prefix = rng.choice([b"", b"", b"\x66"])
    rex = rng.choice([b"", b"", bytes([0x40 | rng.choice([0, 4, 8, 12])])])
    register = rng.choice([r for r in range(8) if r != BASE])
    code = prefix + rex + opcode + bytes([register << 3 | BASE]) + rng.randbytes(8)
    it = decode(code, 2)
    if it is None or (it.which == BASE and not it.immediate) or (it.high and it.which == BASE):
        return False
    code = code[: it.length]
    theirs = run(code, registers, memory, flags)
    if theirs is None:
        return False
    ours = list(registers)
    operand, new_flags = execute(it, ours, memory & mask(it.size), flags)
    undefined = 0x10 if it.action == TEST or it.operation in (1, 4, 6) else 0  # AF, of logical operations
    text = f"{code.hex()} seed {seed}"
    assert ours == theirs[0], text
    assert memory & ~mask(it.size) | operand == theirs[1], text
    assert (new_flags ^ theirs[2]) & FLAGS & ~undefined == 0, f"{text} {new_flags:#x} {theirs[2]:#x}"
    return True


def test_what_is_executed_is_what_unicorn_executes():
    assert sum(one(seed) for seed in range(3000)) > 1500


@pytest.mark.long
def test_what_is_executed_is_what_unicorn_executes_over_many_encodings():
    assert sum(one(seed) for seed in range(10_000, 200_000)) > 100_000
