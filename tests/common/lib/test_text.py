"""Bytes, numbers and messages as text, against Python's own."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.host import EINVAL, LIB, SAMPLES, ending, host

U64 = st.integers(0, 2**64 - 1)
HEX, PREFIX, ZEROS = 1, 2, 4
SPAN = f"{LIB}span.Bytes."


@given(st.binary(min_size=8, max_size=40), st.data())
def test_loads(data, draw):
    view = host().bytes(data)
    at = draw.draw(st.integers(0, len(data) - 8))
    assert host().call(f"{SPAN}byte", view, at) == data[at]
    assert host().call(f"{SPAN}le16", view, at) == int.from_bytes(data[at : at + 2], "little")
    assert host().call(f"{SPAN}le32", view, at) == int.from_bytes(data[at : at + 4], "little")
    assert host().call(f"{SPAN}le64", view, at) == int.from_bytes(data[at : at + 8], "little")
    assert host().call(f"{SPAN}be32", view, at) == int.from_bytes(data[at : at + 4], "big")
    assert host().call(f"{SPAN}be64", view, at) == int.from_bytes(data[at : at + 8], "big")


@pytest.mark.parametrize(
    ("function", "size", "order"),
    [("le32", 4, "little"), ("le64", 8, "little"), ("be32", 4, "big"), ("be64", 8, "big"), ("byte", 1, "big")],
)
@given(number=U64, at=st.integers(0, 9))
def test_stores(function, size, order, number, at):
    view = host().bytes(bytes(range(20)))
    number &= (1 << size * 8) - 1
    host().call(f"{SPAN}put_{function}", view, at, number)
    expected = bytearray(range(20))
    expected[at : at + size] = number.to_bytes(size, order)
    assert host().contents(view) == expected


@given(st.integers(0, 100), U64, U64)
@example(16, 16, 0)
@example(16, 17, 0)
@example(16, 2**64 - 1, 2)
def test_holds(length, offset, size):
    view = host().bytes(bytes(length))
    assert bool(host().call(f"{SPAN}holds", view, offset, size)) == (offset + size <= length)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("byte", (16,)),
        ("be32", (13,)),
        ("be32", (2**64 - 2,)),
        ("le64", (9,)),
        ("put_byte", (16, 0)),
        ("put_be64", (9, 0)),
        ("part", (10, 7)),
        ("text", (0, 17)),
        ("put_text", (14, "abc")),
        ("move_down", (0, 10, 7)),
        ("move_down", (2, 1, 3)),
    ],
)
def test_access_beyond_the_end_panics(function, arguments):
    status, _ = ending(lambda: host().call(f"{SPAN}{function}", host().bytes(bytes(16)), *arguments))
    assert status != 0


@given(st.binary(max_size=20), st.integers(0, 25))
def test_strings(data, at):
    view = host().bytes(data)
    rest = data[at:]
    assert bool(host().call(f"{SPAN}terminated", view, at)) == (0 in rest)
    if at <= len(data):
        found = host().library.call(f"{SPAN}string", view, at)
        assert bytes(host().ffi.buffer(found.data, found.length)) == rest.split(b"\0")[0]


@given(st.binary(min_size=20, max_size=20), st.integers(0, 10), st.integers(0, 10))
def test_move_down_and_fill(data, to, length):
    view = host().bytes(data)
    host().call(f"{SPAN}move_down", view, to, 10, length)
    moved = bytearray(data)
    moved[to : to + length] = data[10 : 10 + length]
    assert host().contents(view) == moved
    host().call(f"{SPAN}fill", view, 7)
    assert host().contents(view) == b"\7" * 20


# Messages


@given(U64, st.integers(0, 255), st.booleans())
@example(0, 0, False)
@example(2**64 - 1, 30, True)
def test_numbers_as_python_writes_them(number, width, negative):
    signed = -number if negative and number else number
    negative = signed < 0
    for flags, spec in [
        (0, f"{width}" if width else ""),
        (ZEROS, f"0{width}" if width else ""),
        (HEX, f"{width}x" if width else "x"),
        (HEX | ZEROS, f"0{width}x" if width else "x"),
        (HEX | PREFIX, f"#{width}x" if width else "#x"),
        (HEX | PREFIX | ZEROS, f"#0{width}x" if width else "#x"),
    ]:
        assert host().call(f"{SAMPLES}number_text", number, flags, width, negative) == format(signed, spec)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.text("abcäß", min_size=1, max_size=12),
    st.booleans(),
)
def test_a_message_of_every_kind(a, b, name, yes):
    found = host().library.call(f"{SAMPLES}mixed_text", a, b, name, yes)
    padded = name.encode() + b" " * (8 - len(name.encode()))
    expected = (
        f"a={a} {a:#x} {a:08x} {a:5}|b={b} {b:6}|{name}|".encode() + padded + f"|{yes}|".encode() + name.encode()[:1]
    )
    assert bytes(host().ffi.buffer(found.data, found.length)) == expected


def test_enum_names():
    assert host().call(f"{SAMPLES}level_text", 2) == "level WARNING"


@given(st.lists(st.text("ab", max_size=7), max_size=6))
def test_a_text_buffer_leaves_out_what_does_not_fit(parts):
    buffer = host().ffi.new("common_lib_text_TextBuffer_16 *")
    for part in parts:
        host().call(f"{LIB}text.TextBuffer[16].put", buffer, part)
    whole = "".join(parts)
    assert host().call(f"{LIB}text.TextBuffer[16].text", buffer) == whole[:16]
    assert bool(buffer.truncated) == (len(whole) > 16)
    host().call(f"{LIB}text.TextBuffer[16].clear", buffer)
    assert host().call(f"{LIB}text.TextBuffer[16].text", buffer) == ""


# Reading text


def number_or_errno(function, text):
    code = host().errno(f"{LIB}parse.{function}", text)
    return -code if code else host().call(f"{LIB}parse.{function}", text)


@given(st.integers(0, 2**65))
@example(2**64 - 1)
@example(2**64)
def test_numbers_are_read(number):
    expected = number if number < 2**64 else -EINVAL
    assert number_or_errno("number", str(number)) == expected
    assert number_or_errno("number", hex(number)) == expected
    assert number_or_errno("number", hex(number).upper()) == expected


@given(st.text("0123456789abcdefgxX -+_", max_size=8))
def test_what_is_no_number_is_refused(text):
    if text[:2].lower() == "0x":
        digits, base, known = text[2:], 16, set("0123456789abcdef")
    else:
        digits, base, known = text, 10, set("0123456789")
    expected = int(digits, base) if digits and set(digits) <= known else -EINVAL
    assert number_or_errno("number", text) == expected


@given(st.integers(0, 2**64 - 1), st.sampled_from("bBkKmMgGtT"))
@example(2**54 - 1, "k")
@example(2**54, "k")
@example(2**24 - 1, "T")
def test_sizes_are_read(number, letter):
    value = number << 10 * "bkmgt".index(letter.lower())
    expected = value if value < 2**64 else -EINVAL
    assert number_or_errno("size", f"{number}{letter}") == expected
    if letter not in "bB":
        assert number_or_errno("size", f"{number:#x}{letter}") == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("256M", 256 << 20),
        ("1024", 1 << 20),
        ("0x1b", 0x1B << 10),
        ("0", 0),
        ("", -EINVAL),
        ("M", -EINVAL),
        ("5MM", -EINVAL),
        ("5 M", -EINVAL),
        ("0xM", -EINVAL),
        ("-1", -EINVAL),
        ("18446744073709551615", -EINVAL),
    ],
)
def test_sizes(text, value):
    assert number_or_errno("size", text) == value


@pytest.mark.parametrize("text", ["", "yes", "on", "true", "enable", "1"])
def test_yes(text):
    assert number_or_errno("boolean", text) == 1


@pytest.mark.parametrize("text", ["no", "off", "false", "disable", "0"])
def test_no(text):
    assert number_or_errno("boolean", text) == 0


@pytest.mark.parametrize("text", ["y", "YES", "2", "no ", "maybe"])
def test_neither(text):
    assert number_or_errno("boolean", text) == -EINVAL


@given(st.text("ab,", max_size=10))
def test_fields(text):
    expected = 0
    for part in text.split(","):
        expected = expected * 32 + len(part) + 1
    assert host().call(f"{SAMPLES}field_lengths", text) == expected & (1 << 64) - 1


def cpus(text):
    code = host().errno(f"{SAMPLES}cpus_of", text)
    words = host().variable(f"{SAMPLES}containers").bits.words
    return -code if code else {i for i in range(128) if words[i // 64] >> i % 64 & 1}


@given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 20)), min_size=1, max_size=6))
def test_cpu_lists(ranges):
    pairs = [(first, min(first + more, 127)) for first, more in ranges]
    text = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in pairs)
    assert cpus(text) == {i for a, b in pairs for i in range(a, b + 1)}


@pytest.mark.parametrize(
    "text", ["", "1,", ",1", "3-1", "128", "0-128", "a", "1-2-3", "-3", "3-", "99999999999999999999"]
)
def test_what_is_no_cpu_list(text):
    assert cpus(text) == -EINVAL
