"""The screen: letters drawn into memory are read back dot by dot, in every pixel format, and as text cells."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.host import host

DRIVER = "hv.common.drivers.framebuffer."
FONT = "hv.common.drivers.font."
ENODEV = 19
PIXELS, TEXT = 1, 2
FORMATS = {32: (16, 8, 8, 8, 0, 8), 24: (16, 8, 8, 8, 0, 8), 16: (11, 5, 5, 6, 0, 5)}
INK = {32: 0xC0C0C0, 24: 0xC0C0C0, 16: 24 << 11 | 48 << 5 | 24}


class Screen:
    def __init__(self, kind=PIXELS, width=80, height=64, bits=32, pitch=None):
        self.bits = 16 if kind == TEXT else bits
        self.width, self.height = width, height
        self.step = -(-self.bits // 8)
        self.pitch = width * self.step + 12 if pitch is None else pitch
        colours = FORMATS.get(bits, FORMATS[32])
        names = "kind base pitch width height bits red_at red_bits green_at green_bits blue_at blue_bits".split()
        values = [kind, 0, self.pitch, width, height, bits, *colours]
        screen = host().ffi.new("common_drivers_screen_Screen *", dict(zip(names, values, strict=True)))
        self.view = host().bytes(b"\xa5" * (self.pitch * height))
        self.driver = host().cleared(f"{DRIVER}framebuffer")
        self.error = host().errno(f"{DRIVER}Framebuffer.start", self.driver, screen[0], self.view.address)

    def write(self, data):
        for byte in data:
            host().call(f"{DRIVER}Framebuffer.put", self.driver, byte)

    def pixel(self, x, y):
        at = y * self.pitch + x * self.step
        return int.from_bytes(host().contents(self.view)[at : at + self.step], "little")

    def letter(self, line, column):
        """The sixteen rows of a letter's eight pixels, as numbers."""
        memory, rows = host().contents(self.view), []
        for y in range(16):
            row = 0
            for x in range(8):
                at = (line * 16 + y) * self.pitch + (column * 8 + x) * self.step
                colour = int.from_bytes(memory[at : at + self.step], "little")
                assert colour in (0, INK[self.bits])
                row = row << 1 | (colour != 0)
            rows.append(row)
        return rows

    def shown(self):
        """Every line, by the letters' shapes."""
        return [
            "".join(SHAPES.get(tuple(self.letter(line, column)), "?") for column in range(self.width // 8)).rstrip()
            for line in range(self.height // 16)
        ]

    def cells(self):
        memory = host().contents(self.view)
        lines = [memory[y * self.pitch : y * self.pitch + self.width * 2] for y in range(self.height)]
        assert all(set(line[1::2]) == {7} for line in lines)
        return [line[0::2].decode("latin-1").rstrip() for line in lines]


def shape(character):
    glyph = host().call(f"{FONT}glyph", character)
    rows = [0] + [row for i in range(7) for row in [(glyph >> 5 * i & 0x1F) << 2] * 2] + [0]
    return tuple(rows)


SHAPES = {shape(code): chr(code) for code in range(32, 127)}
C = [".XXX.", "X...X", "X....", "X....", "X....", "X...X", ".XXX."]


def test_every_printable_character_has_a_shape_of_its_own():
    assert len(SHAPES) == 95
    assert shape(0) == shape(127) == shape(200) == (0, *[0x7C] * 14, 0)


def test_a_letter_looks_like_itself():
    dots = [int(row.replace(".", "0").replace("X", "1"), 2) << 2 for row in C for _ in range(2)]
    assert shape(ord("C")) == (0, *dots, 0)


@pytest.mark.parametrize("bits", [32, 24, 16])
def test_letters_in_every_format(bits):
    screen = Screen(bits=bits)
    assert screen.error == 0
    screen.write(b"Ab~\r\n01\x80")
    assert screen.shown()[0] == "Ab~"
    assert [screen.letter(1, i) for i in range(3)] == [list(shape(code)) for code in b"01\x80"]
    assert screen.pixel(9, 0) == 0


def test_text_cells():
    screen = Screen(TEXT, 80, 25, pitch=160)
    screen.write(b"(hv) hello\r\nsecond")
    assert screen.cells() == ["(hv) hello", "second"] + [""] * 23


def test_control_characters_and_escape_sequences():
    screen = Screen()
    screen.write(b"ab\x1b[1;31mc\x1b7d\x07e\bX\rA\x7f")
    assert screen.shown()[0] == "AbcdX"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": 0}, {"width": 7}, {"height": 15}, {"bits": 8}, {"bits": 0}, {"bits": 64}, {"pitch": 319}, {"pitch": 0},
    ],
)  # fmt: skip
def test_a_screen_that_letters_cannot_be_drawn_on(wrong):
    assert Screen(**wrong).error == ENODEV


class Reference:
    """A terminal without an end of its own: lines of text, of which the last are seen."""

    def __init__(self, columns, lines):
        self.columns, self.height, self.lines, self.column = columns, lines, [""], 0

    def write(self, data):
        for byte in data:
            if byte == 10:
                self.lines.append("")
            elif byte == 13:
                self.column = 0
            else:
                if self.column == self.columns:
                    self.column = 0
                    self.lines.append("")
                line = self.lines[-1].ljust(self.column)
                self.lines[-1] = line[: self.column] + chr(byte) + line[self.column + 1 :]
                self.column += 1

    def shown(self):
        seen = self.lines[-self.height :]
        return [line.rstrip() for line in seen] + [""] * (self.height - len(seen))


WRITTEN = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"word", b"x" * 13, b" ", b"#"]), max_size=40)


@settings(max_examples=60)
@given(WRITTEN, st.sampled_from([TEXT, PIXELS]))
def test_scrolling_against_a_terminal_without_end(pieces, kind):
    host().kept.clear()
    screen = Screen(TEXT, 10, 4, pitch=20) if kind == TEXT else Screen()
    expected = Reference(10, 4)
    for piece in pieces:
        screen.write(piece)
        expected.write(piece)
    assert (screen.cells() if kind == TEXT else screen.shown()) == expected.shown()
