"""Text: constant bytes with a length."""

from hv.lang import Final, array, u8, u32, u64, unbounded

NAME: Final = "xen,xen-4.17"
WORDS: Final[array[str, 4]] = array("", "no-", "serrors", "no-serrors")


class Token:
    text: str
    start: u32


def is_digit(text: str, i: u64) -> bool:
    return "0" <= text[i] <= "9"


@unbounded("each step takes a byte")
def number(text: str) -> u64:
    total: u64 = 0
    i: u64 = 0
    while i < len(text) and is_digit(text, i):
        total = total * 10 + u64(ord(text[i]) - ord("0"))
        i += 1
    return total


@unbounded("each step takes a byte")
def find(text: str, byte: u8) -> u64:
    i: u64 = 0
    while i < len(text):
        if ord(text[i]) == byte:
            return i
        i += 1
    return len(text)


def test_lengths() -> u64:
    return len("") + len("four") * 10 + len(NAME) * 100


def test_length_counts_bytes() -> u64:
    text = "é…"
    return len(text) + u64(ord(text[0])) * 10


def test_parts() -> u64:
    comma = find(NAME, ord(","))
    vendor = NAME[:comma]
    rest = NAME[comma + 1 :]
    return len(vendor) * 100 + len(rest) + u64(vendor == "xen") * 1000 + u64(rest.startswith("xen-")) * 10_000


def test_empty_parts() -> u64:
    text = "abc"
    return len(text[3:]) + len(text[0:0]) + len(text[:]) + u64(text[1:1] == "")


def test_comparison() -> u64:
    a = NAME[0:3]
    b = NAME[4:7]
    return u64(a == b) + u64(a != "xen") * 2 + u64(a == "xem") * 4 + u64(a == "xe") * 8


def test_starts() -> u64:
    found: u64 = 0
    for word in WORDS:
        found = found * 2 + u64("no-serrors".startswith(word))
    return found


def test_ends() -> bool:
    return NAME.endswith("4.17") and not NAME.endswith("4.18")


def test_characters() -> u64:
    text = "a,b"
    return u64(text[1] == ",") + u64(text[0] != "b") * 2 + u64(text[2] == "B") * 4


def test_numbers() -> u64:
    return number("18446744073709551615") ^ number("256M") ^ number("x") ^ number("")


def test_number_wraps() -> u64:
    return number("18446744073709551617")


def test_field_of_text() -> u64:
    token = Token()
    empty = len(token.text)
    token.text = NAME[4:]
    token.start = 4
    return len(token.text) * 10 + empty + u64(ord(token.text[token.start]))


def test_escaped_bytes() -> u64:
    text = '\n\t\0\x7f"\\'
    total: u64 = 0
    for i in range(6):
        total = total * 256 + u64(ord(text[i]))
    return total


def calc_index(i: u64) -> u64:
    return u64(ord(NAME[i]))


def calc_part(a: u32, b: u32) -> u64:
    return len(NAME[a:b])


def calc_tail(a: u8) -> u64:
    return len(NAME[a:])


def trap_index_of_empty() -> u64:
    text = NAME[2:2]
    return u64(ord(text[0]))


def trap_part_backwards() -> u64:
    stop: u64 = 2
    return len(NAME[3:stop])
