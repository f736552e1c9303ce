"""ELF files of kernels: what pyelftools reads is read, and whatever is damaged is refused or harmless."""

import io
import struct

from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.host import host

ELF = "hv.common.lib.elf."
LOAD, NOTE = 1, 4


def note(name, kind, content):
    padded = name + b"\0" * (-len(name) % 4)
    return struct.pack("<III", len(name), len(content), kind) + padded + content + b"\0" * (-len(content) % 4)


def file(wide, machine, segments):
    """Segments are (kind, physical address, bytes, size in memory)."""
    head, step = (64, 56) if wide else (52, 32)
    at = head + step * len(segments)
    headers, body = b"", b""
    for kind, address, data, memory in segments:
        if wide:
            headers += struct.pack("<IIQQQQQQ", kind, 7, at + len(body), 0, address, len(data), memory, 1)
        else:
            headers += struct.pack("<IIIIIIII", kind, at + len(body), 0, address, len(data), memory, 7, 1)
        body += data
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    if wide:
        rest = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, head, 0, 0, head, step, len(segments), 0, 0, 0)
    else:
        rest = struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0, head, 0, 0, head, step, len(segments), 0, 0, 0)
    return (ident + rest + headers + body).ljust(64, b"\0")


SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from([LOAD, NOTE, 6]), st.integers(0, 0xFFFF_FFFF), st.binary(max_size=80), st.integers(0, 1 << 31)
    ),
    min_size=1,
    max_size=6,
)


@given(st.booleans(), SEGMENTS)
def test_headers_are_read_as_others_read_them(wide, segments):
    data = file(wide, 62 if wide else 3, segments)
    elf = host().call(f"{ELF}read_elf", host().bytes(data)[0])
    other = ELFFile(io.BytesIO(data))
    assert elf.count == other.num_segments() and elf.wide == wide and elf.machine == (62 if wide else 3)
    for i, segment in enumerate(other.iter_segments()):
        header = host().call(f"{ELF}Elf.header", host().ffi.new("common_lib_elf_Elf *", elf), i)
        found = (header.offset, header.address, header.file_bytes, header.memory_bytes)
        assert found == (segment["p_offset"], segment["p_paddr"], segment["p_filesz"], segment["p_memsz"])


@given(
    st.booleans(), st.lists(st.tuples(st.sampled_from([b"Xen\0", b"GNU\0", b"Xe\0"]), st.integers(0, 20)), max_size=6)
)
def test_the_first_note_of_a_name_and_number_is_found(wide, notes):
    contents = [(name, kind, struct.pack("<II", kind, i)) for i, (name, kind) in enumerate(notes)]
    data = file(wide, 62, [(NOTE, 0, b"".join(note(*n) for n in contents), 0)])
    elf = host().ffi.new("common_lib_elf_Elf *", host().call(f"{ELF}read_elf", host().bytes(data)[0]))
    wanted = [content for name, kind, content in contents if name == b"Xen\0" and kind == 18]
    error = host().errno(f"{ELF}Elf.note", elf, "Xen", 18)
    if wanted:
        found = host().call(f"{ELF}Elf.note", elf, "Xen", 18)
        assert bytes(host().ffi.buffer(host().ffi.cast("char *", found.address), found.length)) == wanted[0]
    else:
        assert error == 2


@given(st.data())
@settings(max_examples=300)
def test_damage_is_refused_or_harmless(data):
    """The sanitizers see a step beyond the file."""
    good = file(data.draw(st.booleans()), 62, data.draw(SEGMENTS))
    bad = bytearray(good[: data.draw(st.integers(0, len(good)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if bad:
            bad[data.draw(st.integers(0, min(len(bad), 120) - 1))] = data.draw(st.integers(0, 255))
    view = host().bytes(bad)[0]
    if host().errno(f"{ELF}read_elf", view) == 0:
        elf = host().ffi.new("common_lib_elf_Elf *", host().call(f"{ELF}read_elf", view))
        for i in range(elf.count):
            host().call(f"{ELF}Elf.header", elf, i)
        host().errno(f"{ELF}Elf.note", elf, "Xen", 18)
