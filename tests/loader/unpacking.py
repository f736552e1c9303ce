"""The decompressors of the host library, as the tests of each format call them."""

from __future__ import annotations

from tests.common.host import EINVAL, ENOSPC, Raised, host

CANARY = b"\xa5" * 32


class Refused(Exception):
    """Packed data were not unpacked: the words say what was expected."""


class Full(Exception):
    """There was less room than data; `written` is what was unpacked until then."""

    def __init__(self, written: bytes) -> None:
        super().__init__("full")
        self.written = written


def unpack(packed: bytes, room: int) -> tuple[bytes, int]:
    """What comes out where there is so much room, and how much of the source that took. Nothing is written behind the
    room; a step outside of source or window, the sanitizers see. Raises Refused or Full."""
    library = host().library
    source, window = library.new("loader.unpack.source.Source"), library.new("loader.unpack.window.Window")
    space = library.ffi.new("unsigned char[]", room + len(CANARY))
    library.ffi.memmove(space + room, CANARY, len(CANARY))
    view = library.ffi.new("common_lib_span_Bytes *", {"address": address(space), "length": room})[0]
    given = library.ffi.new("unsigned char[]", packed or b"\0")
    library.call(
        "loader.unpack.source.Source.init",
        source,
        library.ffi.new("common_lib_span_Bytes *", {"address": address(given), "length": len(packed)})[0],
    )
    library.call("loader.unpack.window.Window.init", window, view)
    try:
        library.call("loader.unpack.unpack.unpack", source, window)
    except Raised as raised:
        assert raised.code in (EINVAL, ENOSPC)
        if raised.code == EINVAL:
            expected = library.variable("loader.unpack.fault.fault").expected
            raise Refused(library.text(expected)) from None
        assert window.length == room
        raise Full(bytes(library.ffi.buffer(space, room))) from None
    finally:
        assert bytes(library.ffi.buffer(space + room, len(CANARY))) == CANARY
        assert window.length <= room and source.at <= len(packed)
    return bytes(library.ffi.buffer(space, window.length)), source.at


def address(memory: object) -> int:
    return int(host().ffi.cast("uintptr_t", memory))
