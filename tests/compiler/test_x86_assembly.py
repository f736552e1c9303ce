"""Instructions on x86: registers that an operand is tied to, widths, and what is refused."""

from pathlib import Path

import pytest

from compiler import driver
from compiler.errors import CompileError
from compiler.header import Header
from compiler.program import Program

HEAD = "from hv.lang import Final, SystemRegister, asm, export, u8, u16, u32, u64\n\n"
TAIL = "\n@export\ndef entry() -> u64:\n    return {call}\n"


def header(tmp_path: Path, source: str, call: str) -> str:
    path = tmp_path / "instructions.py"
    path.write_text(HEAD + source + TAIL.format(call=call))
    program = Program(tmp_path, driver.TARGETS["x86"], {"CONFIG_NR_CPUS": 4})
    program.load_file("instructions", path)
    return Header(driver.front_end(program)).text()


def test_operands_in_fixed_registers(tmp_path: Path) -> None:
    source = """\
@asm("rdmsr\\n\\tshlq $32, %rdx\\n\\torq %rdx, %rax", register="rcx", result="rax", changes="rdx")
def read(register: u32) -> u64: ...
"""
    text = header(tmp_path, source, "read(27)")
    assert ': [result] "=a"(result) : ' in text
    assert '"c"(register_)' in text  # a word of C has another name
    assert ' : "rdx", "memory", "cc")' in text
    assert "shlq $32, %%rdx" in text


def test_widths(tmp_path: Path) -> None:
    source = """\
@asm("movb {a:b}, {b:h}; movl {c:w}, {result}", pure=True)
def widths(a: u8, b: u16, c: u32) -> u64: ...
"""
    text = header(tmp_path, source, "widths(1, 2, 3)")
    assert "movb %b[a], %w[b]; movl %k[c], %q[result]" in text
    assert '"memory"' not in text.split("movb")[1].splitlines()[0]


def test_control_registers(tmp_path: Path) -> None:
    text = header(tmp_path, 'CR3: Final = SystemRegister("cr3")\n', "CR3.read()")
    assert "movq %%cr3, %0" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('register="xmm0"', r"`register='xmm0'`: on x86 a parameter or `result` may be tied to rax"),
        ('other="rcx"', r"`other='rcx'`"),
    ],
)
def test_refused_registers(tmp_path: Path, words: str, said: str) -> None:
    source = f'@asm("rdmsr", {words})\ndef read(register: u32) -> u64: ...\n'
    with pytest.raises(CompileError, match=r"instructions.py:3: " + said):
        header(tmp_path, source, "read(27)")
