"""f-strings, rendered by the hypervisor's own code into a sink that digests what it gets."""

from hv.common.lib.format import Sink, render
from hv.lang import Bits, Field, Final, Message, U8Enum, bounded, i8, i64, u8, u16, u32, u64


class State(U8Enum):
    IDLE = 0
    BUSY = 3


class Syndrome(Bits[u32]):
    code = Field(31, 26)
    wide = Field(25)
    details = Field(24, 0)


class Digest(Sink):
    value: u64
    length: u64

    def put(self, text: str) -> None:
        for i in bounded(len(text), 1000):
            self.value = self.value * 31 + u64(ord(text[i]))
            self.length += 1


class Named:
    name: str
    state: State


named: Final = Named()


def digest(message: Message) -> u64:
    sink = Digest()
    render(sink, message)
    return sink.value * 1000 + sink.length


def through(message: Message) -> u64:
    return digest(message)


def test_plain_text() -> u64:
    return digest("nothing to fill in")


def test_numbers() -> u64:
    a: u8 = 0
    b: u64 = 0xFFFF_FFFF_FFFF_FFFF
    c: i64 = -0x8000_0000_0000_0000
    d: i8 = -1
    return digest(f"{a} {b} {c} {d}")


def calc_decimal(x: i64) -> u64:
    return digest(f"<{x}>")


def calc_hexadecimal(x: u32, y: u16) -> u64:
    return digest(f"{x:x} {x:#x} {y:08x} {y:#010x}")


def calc_width(x: u16) -> u64:
    return digest(f"[{x:5}] [{x:2}]")


def test_truths_and_text() -> u64:
    yes = True
    named.name = "linux1"
    return digest(f"{yes} {not yes} {named.name} {'literal'}")


def test_text_width() -> u64:
    name = "abc"
    return digest(f"[{name:6}] [{name:2}]")


def test_enum_names() -> u64:
    named.state = State.BUSY
    return digest(f"{named.state.name} {State.IDLE.name}")


def test_bit_fields() -> u64:
    syndrome = Syndrome(code=0x24, wide=True, details=0x1234)
    return digest(f"trap {syndrome} ends")


def test_passed_on() -> u64:
    n: u32 = 12
    return through(f"a {n} b {n + 1} c") ^ through("plain")


def test_text_as_message() -> u64:
    name = "some text"
    return digest(name[5:])


def test_braces() -> u64:
    n: u32 = 1
    return digest(f"{{{n}}}")


def test_expressions_inside() -> u64:
    n: u32 = 0xFFFF_FFFF
    return digest(f"{n + 2} {max(n, 1):#x} {n // 7 if n > 3 else 0}")
