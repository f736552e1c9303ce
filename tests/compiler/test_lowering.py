"""What lowering must keep of Python: order, how often something happens, ways out, and what may be null."""

from pathlib import Path
from typing import Any

import pytest

from compiler.errors import CompileError
from compiler.hostbuild import Library, check_program, compile_program

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def order() -> Library:
    return compile_program(PROGRAMS / "order.py")


@pytest.mark.parametrize(
    ("function", "arguments", "answer"),
    [
        ("left_before_right", (), 105),
        ("call_before_read", (), 107),
        ("argument_before_argument", (), 10102),
        ("chain", (1, 2, 3), 1231),
        ("chain", (1, 2, 2), 1220),
        ("chain", (2, 1, 3), 210),
        ("checked_chain", (1, 2, 3), 1231),
        ("checked_chain", (2, 1, 9), 210),
        ("membership", (), 21231),
        ("value_before_place", (), 212),
        ("value_before_checked_place", (), 3103),
        ("owner_once", (), 15),
        ("augmented_once", (), 123244),
        ("augmented_reads_first", (), 105),
        ("bits_once", (), 113725),
        ("items_once", (), 124254),
        ("owner_before_index", (), 11),
        ("loop_keeps_its_array", (), 3),
        ("match_flags", (1,), 1),
        ("match_flags", (3,), 9),
        ("empty_registry", (), 0),
        ("generic_implementation", (), 1016),
        ("chosen_shape", (True,), 9),
        ("chosen_shape", (False,), 1007),
        ("nullable_shape", (1,), 16),
        ("nullable_shape", (0,), 0),
        ("defaults", (), 516),
        ("leave", (0,), 21217217 * 1000 + 21217217),
        ("leave", (1,), 2172 * 10 * 1000 + 1000 + 21721),
        ("leave", (2,), 21),
        ("leave", (3,), 211),
        ("returned_before_release", (), 0),
        ("raised_in_iterator", (), 991),
        ("named_like_temporaries", (1, 2), 7),
        ("narrow_sum", (200, 100, 100), False),
        ("narrow_sum", (200, 10, 100), True),
        ("word_product", (65535, 65535), 1),
        ("lowest", (-5,), 2147483643),
        ("lowest64", (-(1 << 63),), True),
        ("constants", (), 1504),
        ("low_of", (0,), -(1 << 63)),
        ("bound_is_read_once", (), 3),
        ("iterated_is_kept", (), 66),
        ("first_digit", ("abcd",), ord("b") * 100 + 13),
    ],
)
def test_answer(order: Library, function: str, arguments: tuple[Any, ...], answer: int) -> None:
    assert order.call(function, *arguments) == answer


def test_iterators_within_each_other(order: Library) -> None:
    # Each round of the outer loop adds b = 11, continues at 22 and leaves at 33: three guards and its own are released.
    # The last loop has released one guard when it returns from its second round.
    total = sum(a * 100 + 11 for a in (11, 22, 33))
    assert order.call("nested_iterators") == total * 1000 + 3 * 4 + 1


def refusal(tmp_path: Path, text: str) -> str:
    program = tmp_path / "refused.py"
    program.write_text(text)
    with pytest.raises(CompileError) as refused:
        check_program(program)
    return str(refused.value)


STACK = """
from hv.lang import Final, u32
class Link:
    number: u32
    next: "Link | None"
head: Final = Link()
"""


@pytest.mark.parametrize(
    "body",
    [
        "def f() -> None:\n    x = Link()\n    head.next = x\n",
        "def f() -> Link:\n    x = Link()\n    return x\n",
        "def f() -> Link:\n    x = Link()\n    y = x\n    return y\n",
        "def f() -> Link | None:\n    x = Link()\n    return x\n",
    ],
)
def test_stack_objects_do_not_escape(tmp_path: Path, body: str) -> None:
    assert "on the stack" in refusal(tmp_path, STACK + body)


@pytest.mark.parametrize(
    "body",
    [
        "    if x is not None:\n        x = x.next\n        return x.number\n    return 0\n",
        "    if x is None or x.next is None:\n        return 0\n    x.next = x.next.next\n    return x.next.number\n",
        "    if x is None and head.number == 0:\n        return 1\n    return x.number\n",
        "    for i in range(3):\n        if x is not None:\n            head.next = None\n    return x.number\n",
        "    assert x is not None\n    for i in range(3):\n        n = x.number\n        x = x.next\n    return 0\n",
    ],
)
def test_null_use(tmp_path: Path, body: str) -> None:
    assert "may be None" in refusal(tmp_path, STACK + "def f(x: Link | None) -> u32:\n" + body)


def test_null_after_a_handler(tmp_path: Path) -> None:
    text = STACK.replace("Final, u32", "Errno, Final, raises, u32") + (
        "@raises\ndef find() -> Link:\n    raise Errno.ENOENT\n"
        "def f(x: Link | None) -> u32:\n"
        "    try:\n        x = find()\n    except Errno:\n        pass\n    return x.number\n"
    )
    assert "may be None" in refusal(tmp_path, text)


@pytest.mark.parametrize("of", ["u8", "i32"])
def test_a_field_wider_than_its_type(tmp_path: Path, of: str) -> None:
    text = f"from hv.lang import Bits, Field, {of}, u32\nclass W(Bits[u32]):\n    x = Field(15, 0, of={of})\n"
    text += "def f(w: W) -> u32:\n    return w.raw\n"
    assert "does not lie in" in refusal(tmp_path, text)


def test_a_step_past_the_end_of_the_type(tmp_path: Path) -> None:
    text = "from hv.lang import Final, u8, u32\nEND: Final[u8] = 250\n"
    text += "def f() -> u32:\n    n: u32 = 0\n    for i in range(0, END, 100):\n        n += 1\n    return n\n"
    assert "use a wider type" in refusal(tmp_path, text)
