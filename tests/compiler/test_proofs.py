"""The proofs of an image refuse images that violate them, and say where."""

import re
from pathlib import Path
from typing import Any

import lief
import pytest

from compiler import proofs, stacks
from compiler.errors import ImageError
from compiler.image_code import Image
from tests.compiler.images import SCRIPT, compiled, linked

NOTHING = "_start: ret"
BOTH = pytest.mark.parametrize("architecture", ["arm64", "x86"])


@BOTH
def test_a_clean_image_passes(tmp_path: Path, architecture: str) -> None:
    proofs.structure(linked(tmp_path, architecture, NOTHING))


@BOTH
def test_a_writable_and_executable_segment(tmp_path: Path, architecture: str) -> None:
    elf = linked(tmp_path, architecture, NOTHING)
    doctored = lief.ELF.parse(str(elf))
    assert doctored is not None
    text = next(s for s in doctored.segments if s.virtual_address == 0x400000)
    text.add(lief.ELF.Segment.FLAGS.W)
    doctored.write(str(elf))
    with pytest.raises(ImageError, match=r"image\.elf: the segment at 0x400000 is writable and executable"):
        proofs.structure(elf)


@BOTH
def test_an_undefined_symbol(tmp_path: Path, architecture: str) -> None:
    elf = linked(tmp_path, architecture, "_start: .weak nowhere\n .quad nowhere")
    with pytest.raises(ImageError, match="nowhere is undefined"):
        proofs.structure(elf)


@BOTH
def test_a_relocation(tmp_path: Path, architecture: str) -> None:
    elf = linked(tmp_path, architecture, "_start: ret\n .data\n .quad _start", lld=("--emit-relocs",))
    with pytest.raises(ImageError, match=r"relocations are left in \.rela\.data"):
        proofs.structure(elf)


@BOTH
def test_a_dynamic_relocation(tmp_path: Path, architecture: str) -> None:
    (tmp_path / "script.lds").write_text(SCRIPT.replace(".rodata :", ".rela.dyn : { *(.rela.dyn) } :text\n .rodata :"))
    elf = linked(tmp_path, architecture, "_start: ret\n .data\n .quad _start", lld=("-pie", "--no-dynamic-linker"))
    with pytest.raises(ImageError, match=r"relocations are left in \.rela\.dyn"):
        proofs.structure(elf)


SUM = "// C\ndouble sum(double a, double b) { return a + b; }"
VECTOR_INSTRUCTIONS = {
    "arm64": """
        add v0.4s, v1.4s, v2.4s; fadd d0, d1, d2; ldr q3, [x0]; stp s1, s2, [sp]; mrs x0, fpcr; msr fpsr, x1;
        fmov x0, d8; dup v1.2d, x3; ldr b1, [x2]; str h31, [x2]; cnt v0.8b, v0.8b
    """,
    "x86": """
        movaps %xmm0, %xmm1; vaddps %ymm0, %ymm1, %ymm2; vmovups %zmm31, (%rax); movq %mm0, %rax; fld1; fninit; emms
        fxsave (%rdi); xsaveopt (%rdi); xrstor (%rdi); ldmxcsr (%rax); kmovw %k1, %eax; pxor %xmm8, %xmm8
    """,
}
GENERAL_INSTRUCTIONS = {
    "arm64": """
        mov x0, #0xd0; mrs x0, s3_4_c15_c2_0; ldr x13, [x2, #0xb1]; dc civac, x1; msr daifset, #2; isb;
        csel x1, x2, x3, lo; add x0, x1, x2, lsl #3; movz x0, #0xb0; msr ich_lr0_el2, x0; eret
    """,
    "x86": """
        mov $0xd0, %eax; mfence; xgetbv; xsetbv; rdmsr; invlpg (%rax); mov %cr3, %rax; mov %rax, %dr7;
        lock cmpxchg %rcx, (%rdx); rep stosb; bsf %rax, %rcx; swapgs; mov %fs:0, %rax; iretq
    """,
}


def instructions(text: str) -> list[str]:
    return [i for i in re.split(r";|\n", text) if i.strip()]


@BOTH
def test_each_kind_of_vector_instruction_is_seen(tmp_path: Path, architecture: str) -> None:
    given = instructions(VECTOR_INSTRUCTIONS[architecture])
    labelled = "\n".join(f"i{n}: {i}" for n, i in enumerate(given))
    image = analysed(tmp_path, architecture, f"_start: nop\n{labelled}\nret")
    names = frozenset(f"i{n}" for n in range(len(given)))
    proofs.without_vectors(image, names)
    for n, instruction in enumerate(given):
        found = rf"in i{n} \(.*part0\.S:{n + 2}\) uses a floating-point or vector register"
        with pytest.raises(ImageError, match=found):
            proofs.without_vectors(image, names - {f"i{n}"})
            pytest.fail(f"{instruction} was not seen")


@BOTH
def test_general_instructions_are_no_vector_instructions(tmp_path: Path, architecture: str) -> None:
    elf = linked(tmp_path, architecture, "_start:\n" + GENERAL_INSTRUCTIONS[architecture].replace(";", "\n"))
    image = Image(elf)
    assert len(image.instructions) >= len(instructions(GENERAL_INSTRUCTIONS[architecture]))
    proofs.without_vectors(image, frozenset())


@BOTH
def test_compiled_floating_point(tmp_path: Path, architecture: str) -> None:
    """With its file and line: a C compiler that was allowed to use them."""
    image = Image(linked(tmp_path, architecture, SUM))
    with pytest.raises(ImageError, match=r"in sum \(.*part0\.c:2\) uses a floating-point"):
        proofs.without_vectors(image, frozenset())


# Stacks, of whole programs

PROGRAM = """
from hv.lang import Callable, Final, Protocol, array, export, u8, u32, u64

class Shape(Protocol):
    def area(self) -> u64: ...

class Square(Shape):
    side: u64

    def area(self) -> u64:
        return self.side * self.side

class Ornate(Shape):
    side: u64

    def area(self) -> u64:
        return SPEND + 1

class Bytes:
    room: array[u8, 2000]

class Hook:
    run: Callable[[u64], u64]

square: Final = Square()
ornate: Final = Ornate()
hook: Final = Hook()
shape: Shape | None = None

def spend(n: u64) -> u64:
    room = Bytes()
    for i in range(2000):
        room.room[i] = u8((n + u64(i)) & 0xFF)
    return u64(room.room[n % 2000])

def double(n: u64) -> u64:
    return n + n

@export
def choose(n: u64) -> None:
    global shape
    square.side = n
    ornate.side = n
    if n % 7 == 3:
        shape = square
        hook.run = double
    else:
        shape = ornate
        hook.run = HOOKED

def area() -> u64:
    assert shape is not None, "chosen"
    return shape.area()

@export
def main(n: u64) -> u64:
    return LAST

@export
def interrupted() -> None:
    square.side = 5
"""
START = """
    .text
    .global _start
_start:
    bl      choose
    bl      main
    b       .
stub:
    stp     x29, x30, [sp, #-64]!
    bl      interrupted
    ldp     x29, x30, [sp], #64
    eret
    .global memset
memset:
    ret
    .global __stack_chk_fail
__stack_chk_fail:
    brk     #1
    .data
    .global __stack_chk_guard
__stack_chk_guard:
    .quad   0
"""
RULES = """
margin = 100
[stacks.only]
size = {size}
entries = [{entries}]
interrupt = "stub"
"""


def program(
    spend: str = "self.side",
    hooked: str = "double",
    last: str = "area()",
    extra: str = "",
    change: tuple[str, str] = ("", ""),
) -> str:
    """The program above with parts of it replaced."""
    return PROGRAM.replace(*change).replace("SPEND", spend).replace("HOOKED", hooked).replace("LAST", last) + extra


def prove(folder: Path, *, size: int = 4096, entries: str = '"choose", "main"', **parts: Any) -> list[stacks.Bound]:
    """Compiles, links and proves the program with parts of it replaced."""
    elf, symbols, offsets = compiled(folder, program(**parts), START, {})
    (folder / "proofs.toml").write_text(RULES.format(size=size, entries=entries))
    return proofs.hypervisor(elf, folder, symbols, offsets).bounds


def test_the_bound_follows_interfaces_and_names_the_chain(tmp_path: Path) -> None:
    _, bound = prove(tmp_path, spend="spend(self.side)")
    assert 2000 < bound.bytes < 2400
    assert [step.function for step in bound.chain][:2] == ["program.main", "program.area"]
    assert "program.Ornate.area" in [step.function for step in bound.chain]
    with pytest.raises(
        ImageError,
        match=r"the stack `only` may need 2\d\d\d bytes from program\.main on; it has 2100, of which 100 must stay free"
        r"[\s\S]*program\.main  program\.py:57\n[\s\S]*program\.area \(inlined\)  program\.py:53\n"
        r"[\s\S]*program\.Ornate\.area",
    ):
        prove(tmp_path, size=2100, spend="spend(self.side)")


def test_the_bound_follows_function_values(tmp_path: Path) -> None:
    _, small = prove(tmp_path, last="hook.run(n)")
    _, bound = prove(tmp_path, last="hook.run(n)", hooked="spend")
    assert small.bytes < 200 and bound.bytes > 2000
    assert "program.spend" in [step.function for step in bound.chain]


def test_code_that_no_entry_leads_to(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"program\.main is called from no entry that proofs\.toml lists"):
        prove(tmp_path, entries='"choose"')


def test_assembly_that_goes_where_no_entry_is_listed(tmp_path: Path) -> None:
    """Also when other code calls the same function, so that it is not unreached."""
    start = START.replace("    bl      main\n", "    bl      main\n    bl      again\n")
    extra = "\n@export\ndef again(n: u64) -> u64:\n    return spend(n)\n"
    elf, symbols, offsets = compiled(tmp_path, program(extra=extra, hooked="again", last="hook.run(n)"), start, {})
    (tmp_path / "proofs.toml").write_text(RULES.format(size=8192, entries='"choose", "main"'))
    with pytest.raises(ImageError, match=r"_start at 0x40000\d goes to program\.again, which is no entry of a stack"):
        proofs.hypervisor(elf, tmp_path, symbols, offsets)
    (tmp_path / "proofs.toml").write_text(RULES.format(size=8192, entries='"choose", "main", "again"'))
    proofs.hypervisor(elf, tmp_path, symbols, offsets)


def test_an_entry_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no function nobody, which the stack `only` is entered by"):
        prove(tmp_path, entries='"nobody"')


def test_bytes_below_an_entry_count(tmp_path: Path) -> None:
    _, plain = prove(tmp_path)
    _, below = prove(tmp_path, entries='"choose", "main below 333"')
    assert below.bytes == plain.bytes + 333


ALLOW = """
from hv.lang import asm

@asm("msr {register}, #2")
def allow() -> None: ...

def done(n: u64) -> u64:
    allow()
    return n
"""


def test_an_interrupt_comes_on_top_where_interrupts_are_on(tmp_path: Path) -> None:
    _, off = prove(tmp_path, last="done(n)", extra=ALLOW.replace("{register}", "daifset"))
    _, on = prove(tmp_path, last="done(n)", extra=ALLOW.replace("{register}", "daifclr"))
    assert on.bytes >= off.bytes + 64
    assert [s.function for s in on.chain][-2:] == ["stub", "program.interrupted"]


def test_interrupts_that_let_interrupts_in(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"program\.interrupted lets interrupts in while one is being handled"):
        prove(tmp_path, extra=ALLOW.replace("{register}", "daifclr"), change=("    square.side = 5", "    allow()"))


def test_a_fault_comes_on_top_of_everything(tmp_path: Path) -> None:
    extra = "\n@export\ndef faulted() -> u64:\n    return spend(5)\n"
    elf, symbols, offsets = compiled(
        tmp_path, program(extra=extra), START.replace("bl      main", "bl      main\n    bl faulted"), {}
    )
    bounds = {}
    for fault in ("", 'fault = "faulted below 40"'):
        (tmp_path / "proofs.toml").write_text(RULES.format(size=8192, entries='"choose", "main", "faulted"') + fault)
        bounds[fault] = [b.bytes for b in proofs.hypervisor(elf, tmp_path, symbols, offsets).bounds]
    without, with_ = bounds.values()
    assert without[2] > 2000 and with_ == [own + 40 + without[2] for own in without]


# Machine code that the compiler would not make


def analysed(folder: Path, architecture: str, assembly: str, flags: tuple[str, ...] = ()) -> Image:
    image = Image(linked(folder, architecture, assembly, flags=flags))
    for at in image.functions:
        image.followed(at)
    return image


def graph(image: Image) -> stacks.Graph:
    return stacks.Graph(image, {"functions": {}, "indirect": {}})


CALLS = {
    "arm64": ("bl", "stp x29, x30, [sp, #-16]!", "ldp x29, x30, [sp], #16"),
    "x86": ("call", "push %rbp", "pop %rbp"),
}


@BOTH
def test_recursion(tmp_path: Path, architecture: str) -> None:
    """Also through a tail call, which no front end sees."""
    call, push, pop = CALLS[architecture]
    jump = "b" if architecture == "arm64" else "jmp"
    text = f"_start:\n {push}\n {call} one\n {pop}\n ret\none:\n {push}\n {call} two\n {pop}\n ret\ntwo:\n {jump} one"
    image = analysed(tmp_path, architecture, text)
    with pytest.raises(ImageError, match="recursion, so the stack has no bound: one -> two -> one"):
        graph(image).depth(image.symbols["_start"])


def test_what_the_linker_moves_out_of_a_function_is_followed_with_it(tmp_path: Path) -> None:
    """The erratum 843419 of Cortex-A53: an ADRP at the end of a page, and a load by its result two instructions on."""
    text = """
    .space 0xff4
    .type before, %function
before:
    ret
    .size before, . - before
    .type _start, %function
_start:
    adrp x8, before
    ldr x9, [x1]
    ldr x8, [x8, #16]
    sub sp, sp, #48
    bl leaf
    add sp, sp, #48
    ret
    .size _start, . - _start
    .type leaf, %function
leaf:
    sub sp, sp, #16
    add sp, sp, #16
    ret
    .size leaf, . - leaf
"""
    image = Image(linked(tmp_path, "arm64", text, lld=("--fix-cortex-a53-843419",)))
    image.analyse()
    moved = [name for name in image.symbols if name.startswith("__CortexA53843419_")]
    assert len(moved) == 1
    start = image.symbols["_start"]
    assert [call.target for call in image.functions[start].calls] == [image.symbols["leaf"]]
    assert graph(image).depth(start) == 64
    assert graph(image).reached([start]) == {start, image.symbols["leaf"]}


@BOTH
def test_a_stack_pointer_that_cannot_be_followed(tmp_path: Path, architecture: str) -> None:
    """A frame whose size is computed, in code that has a function's type."""
    sub = "sub sp, sp, x0" if architecture == "arm64" else "sub %rax, %rsp"
    with pytest.raises(
        ImageError, match=r"_start at 0x400000: what `sub .*` does to the stack pointer cannot be followed"
    ):
        analysed(tmp_path, architecture, f".type _start, %function\n_start:\n {sub}\n ret\n .size _start, . - _start")


@BOTH
def test_a_stack_that_grows_in_a_loop(tmp_path: Path, architecture: str) -> None:
    _, push, _ = CALLS[architecture]
    jump = "b" if architecture == "arm64" else "jmp"
    with pytest.raises(ImageError, match="the stack grows in a loop"):
        analysed(tmp_path, architecture, f"_start:\n1: {push}\n {jump} 1b")


FRAMES = """// C
extern void use(void *);
typedef struct { char bytes[64]; } __attribute__((aligned(128))) Line;
int leaf(int a) { return a * 3; }
int plain(int a) { char text[100]; use(text); return text[a]; }
int large(int a) { char text[70000]; use(text); return text[a]; }
int aligned(int a) { Line line; use(&line); return line.bytes[a]; }
int early(int a) { if (a == 0) return 1; char text[300]; use(text); use(text + 1); return text[a]; }
int many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j) { use(&a); return a + b + j; }
int branchy(int a) {
    switch (a) {
    case 0: use(0); return 4;
    case 1: { char text[50]; use(text); return text[2]; }
    case 2: { char text[500]; use(text); return text[3]; }
    case 3: use(&a); return 5;
    case 4: use(&a); return 7;
    case 5: use(&a + 2); return 9;
    }
    return many(a, 1, 2, 3, 4, 5, 6, 7, 8, 9);
}
void use(void *p) { *(volatile char *)p = 1; }
int _start(void) { return leaf(1) + plain(2) + large(3) + aligned(4) + early(5) + branchy(6); }
"""
FLAGS = ("-mgeneral-regs-only", "-fno-omit-frame-pointer", "-fno-inline", "-fstack-usage")


@BOTH
@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
def test_frames_are_those_that_clang_says(tmp_path: Path, architecture: str, level: str) -> None:
    """-fstack-usage is the witness. It does not count the return address of x86, and of an alignment only a part."""
    image = analysed(tmp_path, architecture, FRAMES, (*FLAGS, level))
    usage = {}
    for line in (tmp_path / "part0.su").read_text().splitlines():
        where, size, _ = line.split("\t")
        usage[where.rpartition(":")[2]] = int(size)
    assert len(usage) >= 9
    pushed = image.architecture.return_address + 8 * 10  # arguments of a call, which it does not count
    for name, size in usage.items():
        found = image.functions[image.symbols[name]].frame
        assert size - image.architecture.return_address <= found <= size + pushed + 128 * (name == "aligned"), name


PANICKING = {
    "arm64": """
_start:
    stp     x29, x30, [sp, #-32]!
    bl      panic
panic:
    sub     sp, sp, #64
    bl      line
    brk     #1
line:
    stp     x29, x30, [sp, #-128]!
    cbz     x0, 1f
    bl      panic
1:  ldp     x29, x30, [sp], #128
    ret
""",
    "x86": """
_start:
    sub     $24, %rsp
    call    panic
panic:
    sub     $56, %rsp
    call    line
    ud2
line:
    sub     $120, %rsp
    test    %eax, %eax
    jz      1f
    call    panic
1:  add     $120, %rsp
    ret
""",
}


@BOTH
def test_a_panic_inside_a_panic_counts_once_more(tmp_path: Path, architecture: str) -> None:
    """It is a cycle of calls that is not refused: the second panic stops the CPU."""
    elf = linked(tmp_path, architecture, PANICKING[architecture])
    image = Image(elf, ["panic"])
    functions = {"hv.common.kernel.panic.panic": {"c": "panic", "never": True}}
    found = stacks.Graph(image, {"functions": functions, "indirect": {}})
    for at in image.functions:
        image.followed(at)
    start = image.symbols["_start"]
    assert found.depth(start) == 32 + 2 * (64 + 128) - image.architecture.return_address  # the last calls nobody
    names = [function.name for function, _ in found.chain(start)]
    assert names == ["_start", "panic", "line", "panic", "line"]


TYPED = """
    .type holder, %function
holder:
    {}
    .size holder, . - holder
"""


@BOTH
def test_a_computed_call_that_the_compiler_knows_nothing_of(tmp_path: Path, architecture: str) -> None:
    call = "stp x29, x30, [sp, #-16]!\n blr x8\n ldp x29, x30, [sp], #16\n ret"
    text = TYPED.format(call if architecture == "arm64" else "push %rbp\n call *%rax\n pop %rbp\n ret")
    image = analysed(tmp_path, architecture, text)
    with pytest.raises(
        ImageError, match=r"the call at 0x40000\d in holder .* goes where the compiler knows of no function"
    ):
        graph(image)
    known = stacks.Graph(image, {"functions": {}, "indirect": {"holder": ["holder"]}})
    with pytest.raises(ImageError, match="recursion, so the stack has no bound: holder -> holder"):
        known.depth(image.symbols["holder"])


@BOTH
def test_jump_tables_are_no_calls(tmp_path: Path, architecture: str) -> None:
    """A switch that clang makes a table of, and a pointer that it jumps to: only the second leaves the function."""
    text = """// C
    typedef int (*Kind)(int);
    int a(int), b(int), c(int), d(int), e(int);
    int through(Kind *kinds, int n) { return kinds[n](n); }
    int table(int n) { switch (n) { case 0: return a(n) + 1; case 1: return b(n) + 2; case 2: return c(n) + 3;
        case 3: return d(n) + 4; case 4: return e(n) + 5; } return 0; }
    int a(int n) { return n * 3; } int b(int n) { return n * 5; } int c(int n) { return n ^ 3; }
    int d(int n) { return n - 3; } int e(int n) { return n + 9; }
    int _start(Kind *k, int n) { return table(n) + through(k, n); }
    """
    image = analysed(tmp_path, architecture, text, ("-mgeneral-regs-only", "-fno-omit-frame-pointer", "-fno-inline"))
    assert {c.target for c in image.functions[image.symbols["table"]].calls} == {image.symbols[n] for n in "abcde"}
    assert [c.target for c in image.functions[image.symbols["through"]].calls] == [None]


@BOTH
def test_blocks_of_a_jump_table_that_never_return_are_followed(tmp_path: Path, architecture: str) -> None:
    """Each block ends with a call of what does not return, so no jump stands before the next block."""
    text = """// C
    typedef void Never(int) __attribute__((noreturn));
    Never end;
    int a(int), b(int), c(int), d(int), e(int);
    int _start(int n) { switch (n) { case 0: end(a(n)); case 1: end(b(n)); case 2: end(c(n)); case 3: end(d(n));
        case 4: end(e(n)); } return 0; }
    int a(int n) { return n * 3; } int b(int n) { return n * 5; } int c(int n) { return n ^ 3; }
    int d(int n) { return n - 3; } int e(int n) { return n + 9; }
    void end(int n) { for (;;) *(volatile int *)8 = n; }
    """
    flags = ("-mgeneral-regs-only", "-fno-omit-frame-pointer", "-fno-inline", "-fno-ipa-cp")
    image = Image(linked(tmp_path, architecture, text, flags=flags), ["end"])
    image.analyse()
    reached = {c.target for c in image.functions[image.symbols["_start"]].calls}
    assert reached == {image.symbols[n] for n in ("a", "b", "c", "d", "e", "end")}
