"""What boot loaders hand over: structures written by the tests, the public header's layout, and anything at all."""

import re
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.drivers.acpi_writer import PhysicalMap
from tests.common.host import EINVAL, ENOSPC, host

PC = "hv.sim.pc."
LIMIT = 1 << 40
HEADER = "/usr/include/xen/arch-x86/hvm/start_info.h"


def told():
    return host().call(f"{PC}information_text").splitlines()


# Multiboot2


def tag(kind, body):
    data = struct.pack("<II", kind, 8 + len(body)) + body
    return data + bytes(-len(data) % 8)


def structure(*tags, end=True):
    body = b"".join(tags) + (struct.pack("<II", 0, 8) if end else b"")
    return struct.pack("<II", 8 + len(body), 0) + body


def e820(*entries, step=24):
    return tag(6, struct.pack("<II", step, 0) + b"".join(struct.pack("<QQI", *e).ljust(step, b"\0") for e in entries))


def efi(*entries, step=48):
    rows = (struct.pack("<IIQQQQ", kind, 0, start, 0, pages, 0).ljust(step, b"\0") for kind, start, pages in entries)
    return tag(17, struct.pack("<II", step, 1) + b"".join(rows))


def module(start, end, line):
    return tag(3, struct.pack("<II", start, end) + line)


RGB = struct.pack("<QIIIBBH6B", 0xFD00_0000, 4096, 1024, 768, 32, 1, 0, 16, 8, 8, 8, 0, 8)
EGA = struct.pack("<QIIIBBH", 0xB_8000, 160, 80, 25, 16, 2, 0)
SOUND = structure(
    tag(1, b"loglvl=all com1=115200\0"),
    tag(2, b"GRUB 2.06\0"),
    module(0x20_0000, 0x20_1234, b"tree\0"),
    module(0x30_0000, 0x30_0000, b"\0"),
    tag(4, struct.pack("<II", 640, 65536)),
    e820((0, 0x9_FC00, 1), (0x9_FC00, 0x400, 2), (0x10_0000, 0x3FF0_0000, 1), (0xFEFF_C000, 0x4000, 99)),
    tag(8, RGB),
    tag(12, struct.pack("<Q", 0x7FFE_0018)),
    tag(14, b"RSD PTR " + bytes(12)),
    tag(15, b"RSD PTR " + bytes(28)),
    tag(77, b"unknown"),
)


def multiboot2(data):
    host().kept.clear()
    host().cleared(f"{PC}pc")
    return host().errno(f"{PC}boot_by_multiboot2", host().bytes(data)[0], LIMIT)


def test_all_that_grub_says():
    assert multiboot2(SOUND) == 0
    assert told() == [
        "loader <GRUB 2.06> line <loglvl=all com1=115200> efi 0x7ffe0018",
        "module 0x200000 0x1234 <tree>",
        "module 0x300000 0x0 <>",
        "screen PIXELS 0xfd000000 4096 1024 768 32 16+8 8+8 0+8",
        "rsdp 36",
        "map 0x0 0x9fc00 RAM",
        "map 0x9fc00 0xa0000 RESERVED",
        "map 0x100000 0x40000000 RAM",
        "map 0xfeffc000 0xff000000 RESERVED",
    ]


def test_text_screens_old_root_pointers_and_32_bit_efi():
    data = structure(tag(8, EGA), tag(14, bytes(20)), tag(11, struct.pack("<I", 5)), e820((0, 4096, 1), step=40))
    assert multiboot2(data) == 0
    assert told()[0].endswith("efi 0x5")
    assert told()[1:3] == ["screen TEXT 0xb8000 160 80 25 16 0+0 0+0 0+0", "rsdp 20"]
    assert told()[3:] == ["map 0x0 0x1000 RAM"]


def test_a_palette_is_no_screen():
    assert multiboot2(structure(tag(8, struct.pack("<QIIIBBHH", 1, 2, 3, 4, 8, 0, 0, 0)))) == 0
    assert told()[1].startswith("screen NONE")


def test_memory_without_a_map():
    assert multiboot2(structure(tag(4, struct.pack("<II", 640, 65536)))) == 0
    assert told()[3:] == ["map 0x0 0xa0000 RAM", "map 0x100000 0x4100000 RAM"]


def test_efis_map_counts_only_without_the_other():
    rows = efi((7, 0x10_0000, 256), (3, 0x20_0000, 1), (11, 0xFEE0_0000, 1), (7, 1 << 39, 2**64 - 1))
    assert multiboot2(structure(rows)) == 0
    said = told()[3:]
    assert said[:2] == ["map 0x100000 0x200000 RAM", "map 0x200000 0x201000 RAM"]
    assert said[2].endswith("RESERVED") and said[3] == f"map {1 << 39:#x} {LIMIT:#x} RAM"
    assert multiboot2(structure(rows, tag(18, b""))) == 0
    assert told()[4] == "map 0x200000 0x201000 RESERVED"
    assert multiboot2(structure(rows, e820((0, 4096, 1)))) == 0
    assert told()[3:] == ["map 0x0 0x1000 RAM"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SOUND[:7],
        SOUND[:-8],
        struct.pack("<II", 7, 0),
        struct.pack("<II", 8, 0),
        struct.pack("<II", 2**32 - 1, 0) + SOUND[8:],
        structure(tag(1, b"x\0"), end=False),
        structure(struct.pack("<II", 1, 7)),
        structure(struct.pack("<II", 1, 0)),
        structure(struct.pack("<II", 1, 2**32 - 1)),
        structure(module(2, 1, b"\0")),
        structure(tag(3, bytes(4))),
        structure(e820((0, 4096, 1), step=20).replace(struct.pack("<II", 20, 0), struct.pack("<II", 19, 0))),
        structure(tag(6, struct.pack("<II", 0, 0))),
        structure(tag(17, struct.pack("<II", 39, 1))),
        structure(tag(8, RGB[:-1])),
        structure(tag(8, EGA[:-1])),
        structure(tag(11, bytes(3))),
        structure(tag(12, bytes(7))),
    ],
)
def test_malformed_structures(data):
    if len(data) >= 8 and struct.unpack_from("<I", data)[0] > len(data) and struct.unpack_from("<I", data)[0] < 1 << 20:
        data = struct.pack("<I", len(data)) + data[4:]  # the loader's word for the size is believed
    assert multiboot2(data) == EINVAL


def test_more_than_there_is_room_for():
    assert multiboot2(structure(*[module(0, 1, b"\0")] * 64)) == 0
    assert multiboot2(structure(*[module(0, 1, b"\0")] * 65)) == ENOSPC
    assert multiboot2(structure(tag(1, b"x" * 16384 + b"\0"))) == 0
    assert multiboot2(structure(tag(1, b"x" * 16385 + b"\0"))) == ENOSPC


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(8, len(SOUND) - 1), st.integers(0, 255)), max_size=6))
def test_damaged_structures_do_no_harm(changes):
    """Bytes behind the size are changed; the memory behind the structure belongs to nobody."""
    data = bytearray(SOUND)
    for at, byte in changes:
        data[at] = byte
    if multiboot2(bytes(data)) == 0:
        told()
    else:
        assert multiboot2(bytes(data)) in (EINVAL, ENOSPC)


@given(st.binary(max_size=200))
def test_any_tags(body):
    assert multiboot2(struct.pack("<II", 8 + len(body), 0) + body) in (0, EINVAL, ENOSPC)


# PVH


START, LIST, LINE, MAP, RSDP, MODULE_LINE = 0x9000, 0x10_0000, 0x20_0FF8, 0x30_0000, 0xF_5A80, 0x40_0000


def start_info(magic=0x336EC578, version=1, modules=1, modlist=LIST, line=LINE, rsdp=RSDP, map_=MAP, entries=2):
    return struct.pack("<IIIIQQQQII", magic, version, 0, modules, modlist, line, rsdp, map_, entries, 0)


def pvh(info, **pieces):
    memory = PhysicalMap()
    layout = {
        START: info,
        LIST: struct.pack("<QQQQ", 0x100_0000, 0x1234, MODULE_LINE, 0),
        LINE: b"loglvl=all\0",
        MAP: struct.pack("<QQIIQQII", 0, 0xA_0000, 1, 0, 0x10_0000, 0x700_0000, 3, 0),
        RSDP: b"RSD PTR " + bytes(7) + b"\2" + bytes(20),
        MODULE_LINE: b"".ljust(4096, b"m") + b"\0" * 8,
    }
    layout |= {int(at, 16): data for at, data in pieces.items()}
    for at, data in layout.items():
        memory.put(at, data.ljust(4096 - at % 4096, b"\0") if at in (LINE, MODULE_LINE) else data)
    host().cleared(f"{PC}pc")
    return host().errno(f"{PC}boot_by_pvh", START, LIMIT)


SHORT = {f"{MODULE_LINE:x}": b"tree\0", f"{LINE:x}": b"loglvl=all\0".ljust(4096, b"\0")}


def test_all_that_qemu_says():
    assert pvh(start_info(), **SHORT) == 0
    assert told() == [
        "loader <> line <loglvl=all> efi 0x0",
        "module 0x1000000 0x1234 <tree>",
        "screen NONE 0x0 0 0 0 0 0+0 0+0 0+0",
        "rsdp 36",
        "map 0x0 0xa0000 RAM",
        "map 0x100000 0x7100000 ACPI",
    ]


@pytest.mark.parametrize(
    ("info", "code"),
    [
        (start_info(modules=0, modlist=0, line=0, rsdp=0), 0),
        (start_info(magic=0x336EC579), EINVAL),
        (start_info(version=0), EINVAL),
        (start_info(version=0)[:40], EINVAL),
        (start_info()[:48], EINVAL),
        (start_info(entries=0), EINVAL),
        (start_info(entries=3), EINVAL),
        (start_info(map_=2**64 - 8), EINVAL),
        (start_info(modules=2), EINVAL),
        (start_info(modules=2**32 - 1), ENOSPC),
        (start_info(line=0x5000), EINVAL),
        (start_info(rsdp=0x5000), EINVAL),
        (start_info(), EINVAL),  # the module's command line does not end
    ],
)
def test_start_information(info, code):
    line = {f"{LINE:x}": SHORT[f"{LINE:x}"]}
    endless = {f"{MODULE_LINE:x}": b"m" * 8192}
    assert pvh(info, **line, **(endless if info == start_info() else {f"{MODULE_LINE:x}": b"tree\0"})) == code


def test_layout_of_the_public_header():
    """Offsets and sizes as clang computes them from Xen's header."""
    wanted = {
        "AT_MAGIC": "hvm_start_info, magic", "AT_VERSION": "hvm_start_info, version",
        "AT_MODULES": "hvm_start_info, nr_modules", "AT_MODULE_LIST": "hvm_start_info, modlist_paddr",
        "AT_COMMAND_LINE": "hvm_start_info, cmdline_paddr", "AT_RSDP": "hvm_start_info, rsdp_paddr",
        "AT_MAP": "hvm_start_info, memmap_paddr", "AT_MAP_ENTRIES": "hvm_start_info, memmap_entries",
        "VERSION_0_BYTES": "hvm_start_info, memmap_paddr",
        "AT_MODULE_START": "hvm_modlist_entry, paddr", "AT_MODULE_BYTES": "hvm_modlist_entry, size",
        "AT_MODULE_COMMAND_LINE": "hvm_modlist_entry, cmdline_paddr",
        "AT_ENTRY_START": "hvm_memmap_table_entry, addr", "AT_ENTRY_BYTES": "hvm_memmap_table_entry, size",
        "AT_ENTRY_TYPE": "hvm_memmap_table_entry, type",
    }  # fmt: skip
    sizes = {"VERSION_1_BYTES": "hvm_start_info", "MODULE_BYTES": "hvm_modlist_entry"}
    sizes["ENTRY_BYTES"] = "hvm_memmap_table_entry"
    lines = [f"->{name} __builtin_offsetof(struct {place})" for name, place in wanted.items()]
    lines += [f"->{name} sizeof(struct {place})" for name, place in sizes.items()]
    lines += ["->MAGIC XEN_HVM_START_MAGIC_VALUE"]
    values = "\n".join(
        f'__asm__(".ascii \\"{line.split(" ", 1)[0]} %c0\\"" : : "i"({line.split(" ", 1)[1]}));' for line in lines
    )
    source = f'#include <stdint.h>\n#include "{HEADER}"\nvoid f(void) {{\n{values}\n}}\n'
    made = subprocess.run(
        ["clang-19", "--target=x86_64-none-elf", "-ffreestanding", "-S", "-o", "-", "-x", "c", "-"],
        input=source, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {name: int(value) for name, value in re.findall(r"->(\w+) \$?(\d+)", made.stdout)}
    assert found.keys() == {*wanted, *sizes, "MAGIC"}
    text = open("hv/x86/start_info.py").read()
    ours = {name: int(value, 0) for name, value in re.findall(r"^(\w+): Final\[u\d+\] = (\w+)$", text, re.M)}
    assert {name: ours[name] for name in found} == found
