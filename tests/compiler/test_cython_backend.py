"""The C that the Cython back end writes: its text, what it computes, the lines it names, and what it refuses."""

import ctypes
import multiprocessing
import subprocess
from pathlib import Path

import Cython
import pytest
from elftools.elf.elffile import ELFFile

from compiler.cython_backend import BackendError, lower

EXTERN = """\
cdef extern from *:
    ctypedef unsigned long long u64
    ctypedef unsigned int u32
    ctypedef unsigned char u8
    ctypedef long long i64
    cdef struct Point:
        u32 x
        u64 y
        u8 name[4]
        Point *next
        u32 (*op)(u32, u32) noexcept nogil
    Point points[4]
    Point *current
    u32 counter
    void CX_GOTO(int) noexcept nogil
    void CX_LABEL(int) noexcept nogil
    u32 bump(u32) noexcept nogil
    const char *last_text
    void note(const char *text) noexcept nogil

"""
FIRST = EXTERN.count("\n") + 1

HEADER = """\
#pragma once
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned char u8;
typedef long long i64;
struct Point { u32 x; u64 y; u8 name[4]; struct Point *next; u32 (*op)(u32, u32); };
extern struct Point points[4];
extern struct Point *current;
extern u32 counter;
extern const char *last_text;
u32 bump(u32);
void note(const char *);
#define CX_GOTO(n) goto cx_##n
#define CX_LABEL(n) cx_##n: (void)0
"""

BODY = """\
cdef u32 add(u32 a, u32 b) noexcept nogil:
    return a + b

cdef u64 collatz(u64 n) noexcept nogil:
    cdef u64 steps
    steps = 0
    while n != 1:
        if n & 1:
            n = 3 * n + 1
        elif n == 0 or steps > 10000:
            break
        else:
            n = n >> 1
        steps += 1
    return steps

cdef u64 retry(u64 n) noexcept nogil:
    cdef u64 tries
    tries = 0
    CX_LABEL(3)
    while True:
        tries = tries + 1
        if tries < n:
            CX_GOTO(3)
        CX_GOTO(2345)
    CX_LABEL(2345)
    if tries == 5:
        CX_GOTO(7)
    return tries
    CX_LABEL(7)
    tries = 500
    return tries

cdef Point moved(Point p, u32 by) noexcept nogil:
    cdef Point default
    default = p
    default.x = p.x + by
    return default

cdef u64 structs(u32 register) noexcept nogil:
    cdef Point a[2]
    cdef u64 unused
    a[0].x = register
    a[0].y = 0x8000000000000001
    a[0].name[2] = 9
    a[0].op = &add
    a[1] = moved(a[0], 2)
    a[0].next = &a[1]
    points[3] = a[0].next[0]
    current = &points[3]
    current.name[0] = <u8>(current.name[2] << 1)
    counter += 1
    return current.op(current.x, moved(a[1], 5).x) + current.y

cdef void quiet() noexcept nogil:
    note(b"Py_None { \\"quoted\\" \\xff\\n")

cdef u32 lazy(u32 n) noexcept nogil:
    if n > 2 and bump(1) == 99 or not n:
        return 1000
    elif 1 < bump(n) < 5 and bump(10) > 0:
        return counter if n == 1 else bump(100)
    return counter

cdef i64 extremes(u32 n) noexcept nogil:
    if n == 0:
        return -9223372036854775808
    return -2147483648 if n == 1 else <i64>(0b101 + 0o17 + 1_000)

cdef u32 maybe(u32 n) noexcept nogil:
    cdef u32 value
    if n:
        value = n
    if n:
        return value
    return 7
"""

HOST = """\
#include "hv.h"
struct Point points[4]; struct Point *current; u32 counter; const char *last_text;
u32 bump(u32 by) { return counter += by; }
void note(const char *text) { last_text = text; }
"""
PROTOTYPES = """\
u32 add(u32, u32); u64 collatz(u64); u64 retry(u64); struct Point moved(struct Point, u32); u64 structs(u32);
void quiet(void); u32 lazy(u32); i64 extremes(u32); u32 maybe(u32);
"""


def c_of(body: str) -> list[str]:
    """The lines of the body's C, without prologue and `#line`."""
    lines = lower(EXTERN + body, "sample").splitlines()
    return [line.strip() for line in lines if not line.startswith("#")]


def clang(directory: Path, source: Path, output: str, *options: str) -> Path:
    (directory / "hv.h").write_text(HEADER + PROTOTYPES)
    result = directory / output
    command = ["clang-19", "-std=gnu11", "-Wall", "-Werror", f"-I{directory}", *options, str(source), "-o", str(result)]
    subprocess.run(command, check=True, timeout=60)
    return result


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The sample module in this process."""
    directory = tmp_path_factory.mktemp("backend")
    source = directory / "sample.c"
    source.write_text(HOST + lower(EXTERN + BODY, "sample"))
    # `maybe` reads a variable that clang, too, takes for possibly unset; whether it is, the front end has to know.
    return ctypes.CDLL(
        str(clang(directory, source, "sample.so", "-shared", "-fPIC", "-O1", "-Wno-sometimes-uninitialized"))
    )


def test_canary_of_statements() -> None:
    assert c_of(BODY[: BODY.index("cdef u64 retry")]) == [
        "u32 add(u32 a, u32 b) {",
        "return (a + b); }",
        "u64 collatz(u64 n) { u64 steps;",
        "steps = 0;",
        "while ((n != 1)) {",
        "if (((n & 1) != 0)) {",
        "n = ((3 * n) + 1);",
        "} else if (((n == 0) || (steps > 10000))) {",
        "break; } else {",
        "n = (n >> 1); }",
        "steps += 1; }",
        "return steps; }",
    ]


def test_canary_of_structs_and_calls() -> None:
    code = "\n".join(c_of(BODY[: BODY.index("cdef u32 lazy")]))
    assert "struct Point moved(struct Point p, u32 by) { struct Point default_;" in code
    assert "u64 structs(u32 register_) { struct Point a[2];" in code
    assert "(a[0]).y = 0x8000000000000001ULL;" in code
    assert "(points[3]) = ((a[0]).next[0]);" in code
    assert "(a[0]).op = (&add);" in code
    assert 'note("Py_None { \\"quoted\\" \\377\\n"); }' in code


def test_labels_survive_verbatim_with_the_code_behind_them() -> None:
    code = c_of(BODY[BODY.index("cdef u64 retry") : BODY.index("cdef Point moved")])
    assert code == [
        "u64 retry(u64 n) { u64 tries;",
        "tries = 0;",
        "CX_LABEL(3);",
        "while (1) {",
        "tries = (tries + 1);",
        "if ((tries < n)) {",
        "CX_GOTO(3); }",
        "CX_GOTO(2345); }",
        "CX_LABEL(2345);",
        "if ((tries == 5)) {",
        "CX_GOTO(7); }",
        "return tries;",
        "CX_LABEL(7);",
        "tries = 500;",
        "return tries; }",
    ]


def test_operands_that_need_statements_are_evaluated_only_when_reached() -> None:
    body = "cdef u32 f(u32 n) noexcept nogil:\n    return <u32>(n and 1 < bump(n) < 5)\n"
    assert c_of(body)[1] == (
        "__pyx_t_1 = (n != 0); if (__pyx_t_1) { __pyx_t_2 = bump(n); __pyx_t_3 = (1 < __pyx_t_2); "
        "if (__pyx_t_3) { __pyx_t_3 = (__pyx_t_2 < 5); } __pyx_t_1 = __pyx_t_3; } return ((u32)__pyx_t_1); }"
    )


def test_local_names_give_way_to_c_and_to_the_module() -> None:
    body = (
        "cdef u32 f(u32 int_, u32 counter, u32 list, u32 HV) noexcept nogil:\n    return counter + list + int_ + HV\n"
    )
    assert "u32 f(u32 int_, u32 counter_, u32 list, u32 HV) {" in c_of(body)
    assert "u32 f(u32 int_, u32 counter_, u32 list, u32 HV_) {" in lower(EXTERN + body, "sample", reserved=["HV"])


def test_only_the_header_is_included() -> None:
    code = lower(EXTERN + BODY, "sample", header="other.h")
    assert [line for line in code.splitlines() if "include" in line] == ['#include "other.h"']
    assert "static" not in code
    assert "__pyx_v_" not in code


def test_a_long_string_keeps_its_line_and_braces(host: ctypes.CDLL) -> None:
    body = f'cdef void f() noexcept nogil:\n    note(b"{"{" * 5000}")\n    note(b"")\n'
    assert len(c_of(body)) == 3
    host.quiet()
    assert ctypes.c_char_p.in_dll(host, "last_text").value == b'Py_None { "quoted" \xff\n'


def test_arithmetic_loops_and_labels_on_the_host(host: ctypes.CDLL) -> None:
    assert host.add(ctypes.c_uint(0xFFFFFFFF), 2) == 1
    host.collatz.restype = host.retry.restype = ctypes.c_uint64
    assert [host.collatz(ctypes.c_uint64(n)) for n in (0, 1, 6, 27)] == [0, 0, 8, 111]
    assert [host.retry(ctypes.c_uint64(n)) for n in (0, 1, 4, 5)] == [1, 1, 4, 500]
    assert host.maybe(0) == 7
    assert host.maybe(3) == 3


def test_struct_values_on_the_host(host: ctypes.CDLL) -> None:
    class Point(ctypes.Structure):
        pass

    function = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
    Point._fields_ = [
        ("x", ctypes.c_uint),
        ("y", ctypes.c_uint64),
        ("name", ctypes.c_ubyte * 4),
        ("next", ctypes.POINTER(Point)),
        ("op", function),
    ]
    host.structs.restype = ctypes.c_uint64
    assert host.structs(10) == 12 + 17 + 0x8000000000000001
    point = (Point * 4).in_dll(host, "points")[3]
    assert (point.x, point.name[0], point.name[2]) == (12, 18, 9)
    host.moved.restype, host.moved.argtypes = Point, [Point, ctypes.c_uint]
    assert host.moved(point, 30).x == 42


def test_operands_are_evaluated_lazily_on_the_host(host: ctypes.CDLL) -> None:
    counter = ctypes.c_uint.in_dll(host, "counter")

    def run(n: int) -> tuple[int, int]:
        counter.value = 0
        return host.lazy(n), counter.value

    assert run(0) == (1000, 0)
    assert run(1) == (1, 1)  # bump(1) gives 1: the chain stops, and bump(10) is not called
    assert run(2) == (112, 112)
    assert run(3) == (114, 114)  # bump(1), then bump(3) gives 4, then 10 and 100
    assert run(9) == (10, 10)


def test_integer_extremes_on_the_host(host: ctypes.CDLL) -> None:
    host.extremes.restype = ctypes.c_int64
    assert [host.extremes(n) for n in range(3)] == [-(2**63), -(2**31), 5 + 15 + 1000]


def line_map() -> list[tuple[str, int] | None]:
    """Two text lines for each line of Python, the second one unnamed, as for a statement that is lowered to two."""
    declarations: list[tuple[str, int] | None] = [None] * (FIRST - 1)
    return declarations + [("hv/sample.py", 100 + i // 2) if i % 2 == 0 else None for i in range(BODY.count("\n"))]


def test_freestanding_object_names_python_lines(tmp_path: Path) -> None:
    source = tmp_path / "sample.c"
    source.write_text(lower(EXTERN + BODY, "sample", line_map()))
    target = ("--target=aarch64-none-elf", "-ffreestanding", "-mgeneral-regs-only", "-Wno-sometimes-uninitialized")
    result = clang(tmp_path, source, "sample.o", "-c", "-g", "-O0", *target)
    with result.open("rb") as file:
        elf = ELFFile(file)
        symbols = {s.name: s["st_info"]["bind"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
        dwarf = elf.get_dwarf_info()
        program = dwarf.line_program_for_CU(next(dwarf.iter_CUs()))
        files = {entry.name.decode() for entry in program["file_entry"]}
        states = [entry.state for entry in program.get_entries() if entry.state]
        lines = {state.line for state in states if not state.end_sequence}
    assert symbols["add"] == symbols["quiet"] == "STB_GLOBAL"
    assert {name for name in symbols if name and "$" not in name and not name.startswith(".")} <= {
        *("add", "collatz", "retry", "moved", "structs", "quiet", "lazy", "extremes", "maybe"),
        *("points", "current", "counter", "bump", "note", "memcpy", "sample.c"),
    }
    assert "sample.py" in {Path(name).name for name in files}
    text = BODY.splitlines()
    loop, label = text.index("    while n != 1:"), text.index("    tries = 500")
    assert {100 + loop // 2, 100 + label // 2} <= lines
    assert lines - {0} <= {100 + i // 2 for i in range(len(text))}


def test_line_directives_follow_the_map() -> None:
    body = "cdef u32 f(u32 a) noexcept nogil:\n    a = a + 1\n    a = a + 2\n    return a\n"
    head: list[tuple[str, int] | None] = [None] * (FIRST - 1)
    code = lower(EXTERN + body, "m", [*head, ("hv/a.py", 7), ("hv/a.py", 8), None, ("hv/b.py", 9)])
    assert code.splitlines()[-5:] == [
        '#line 7 "hv/a.py"',
        "u32 f(u32 a) {",
        "  a = (a + 1); a = (a + 2);",
        '#line 9 "hv/b.py"',
        "  return a; }",
    ]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("a = nobody(3)", "undeclared name not builtin: nobody"),
        ("novar = 3", "'novar' is assigned and has no declaration"),
        ("a = points", "Cannot assign type"),
        ("a = a ** 2", "__Pyx_pow_u32"),
        ("a = a +", "Expected an identifier or literal"),
        ("a = len([a])", "not allowed without gil"),
        ("raise a", "Raising exception not allowed without gil"),
        ("for a in range(3): pass", "must be lowered"),
        ("note('\u00e9')", "Unicode literals"),
    ],
)
def test_refusals_name_the_python_line(statement: str, message: str) -> None:
    body = f"cdef u32 f(u32 a) noexcept nogil:\n    a = 1\n    {statement}\n    return a\n"
    head: list[tuple[str, int] | None] = [None] * (FIRST - 1)
    with pytest.raises(BackendError) as caught:
        lower(EXTERN + body, "m", [*head, ("hv/m.py", 40), ("hv/m.py", 41), ("hv/m.py", 50), ("hv/m.py", 60)])
    assert (caught.value.file, caught.value.line) == ("hv/m.py", 50)
    assert message in caught.value.message
    assert str(caught.value).startswith("hv/m.py:50: ")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "cdef u32 f(u32 a) except? 0:\n    return g(a)\ncdef u32 g(u32 a) except? 0:\n    return a\n",
            "Python runtime",
        ),
        ("def f():\n    pass\n", "cdef functions only"),
        ("cdef u32 here\ncdef u32 f() noexcept nogil:\n    return here\n", "__pyx_v_1m_here"),
    ],
)
def test_what_is_no_c_function_is_refused(body: str, message: str) -> None:
    with pytest.raises(BackendError, match=message):
        lower(EXTERN + body, "m")


def test_calls_are_independent(capfd: pytest.CaptureFixture[str]) -> None:
    first = lower(EXTERN + BODY, "sample")
    with pytest.raises(BackendError):
        lower(EXTERN + "cdef u32 add(u32 a) noexcept nogil:\n    return none\n", "sample")
    other = "cdef extern from *:\n    ctypedef signed char u32\n\ncdef u32 add(u32 a) noexcept nogil:\n    return a\n"
    assert "u32 add(u32 a) {" in lower(other, "sample")
    assert lower(EXTERN + BODY, "sample") == first
    with multiprocessing.Pool(2) as pool:
        assert pool.starmap(lower, [(EXTERN + BODY, "sample"), (EXTERN + BODY, "sample")]) == [first, first]
    assert capfd.readouterr() == ("", "")


def test_another_cython_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cython, "__version__", "3.3.2")
    with pytest.raises(RuntimeError, match=r"install Cython==3\.3\.1"):
        lower(EXTERN, "m")
