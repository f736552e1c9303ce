"""LZMA2: chunks of LZMA, or of bytes as they are, with what the decoder is to forget before each.

Source: The .xz File Format 1.1.0, section 5.3.1, and the behaviour of XZ Utils, which it refers to.
"""

from hv.lang import Final, raises, u8, u64, unbounded
from loader.unpack.fault import expect
from loader.unpack.lzma import Lzma
from loader.unpack.source import Source
from loader.unpack.window import Window

END: Final[u8] = 0
COPY_AND_FORGET: Final[u8] = 1
COPY: Final[u8] = 2
LZMA: Final[u8] = 0x80
RESET: Final[u8] = 0xA0  # of the model, from here on
PROPERTIES: Final[u8] = 0xC0  # new ones, from here on
FORGET: Final[u8] = 0xE0  # all that was written, from here on

decoder: Final = Lzma()


@raises
@unbounded("each round takes a byte or more of the source")
def unpack_lzma2(source: Source, window: Window) -> None:
    """Up to the end that the stream marks. EINVAL: it is damaged. ENOSPC: the window is full."""
    known = False  # properties are
    first = True
    while True:
        control = source.byte()
        if control == END:
            return
        expect(control >= LZMA or control <= COPY, "a chunk of LZMA2")
        if control >= FORGET or control == COPY_AND_FORGET:
            window.forget()
            known = False
        else:
            expect(not first, "a first chunk that forgets what was before")
        first = False
        if control < LZMA:
            window.append(source.take(u64(source.be16()) + 1))
            continue
        unpacked = (u64(control & 0x1F) << 16 | u64(source.be16())) + 1
        packed = u64(source.be16()) + 1
        if control >= PROPERTIES:
            decoder.set_properties(source.byte())
            known = True
        expect(known, "LZMA properties in the first chunk that needs them")
        if control >= RESET:
            decoder.reset()
        decoder.begin(source.take(packed))
        decoder.decode(window, window.length + unpacked)
        expect(decoder.ends_well(), "a chunk of LZMA that ends with its last byte")
