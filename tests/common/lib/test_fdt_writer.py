"""The writer of device trees: what it writes is read back by libfdt and by the reader, whole or not at all."""

import struct

import libfdt
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.host import ENOSPC, LIB, SAMPLES, ending, host
from tests.common.lib.test_fdt import BOARD, CONTENTS, built, dump, dumped, load

WRITER = f"{LIB}fdt_writer.FdtWriter."


def writer():
    return host().ffi.addressof(host().variable(f"{SAMPLES}trees"), "writer")


def write(nodes, room):
    """The tree, or None when there was not enough room. The view that was written to comes back as well."""
    host().cleared(f"{SAMPLES}trees")
    view = host().bytes(b"\xa5" * room)
    host().call(f"{WRITER}init", writer(), view[0])
    write_node("", nodes)
    code = host().errno(f"{WRITER}finish", writer())
    if code:
        assert code == ENOSPC
        return None
    size = struct.unpack(">I", host().contents(view)[4:8])[0]
    return host().contents(view)[:size]


def write_node(name, content):
    host().call(f"{SAMPLES}begin_node", name)
    for key, value in content.items():
        if not isinstance(value, dict):
            host().call(f"{WRITER}begin_property", writer(), key)
            put(value)
            host().call(f"{WRITER}end_property", writer())
    for key, value in content.items():
        if isinstance(value, dict):
            write_node(key, value)
    host().call(f"{WRITER}end_node", writer())


def put(value):
    """By the widest writes that fit, so that all are used."""
    while value:
        if len(value) >= 8:
            host().call(f"{WRITER}put_wide", writer(), int.from_bytes(value[:8], "big"))
            value = value[8:]
        elif len(value) >= 4:
            host().call(f"{WRITER}put_cell", writer(), int.from_bytes(value[:4], "big"))
            value = value[4:]
        elif value == b"ok\0":
            host().call(f"{SAMPLES}put_string", "ok")
            value = b""
        else:
            host().call(f"{WRITER}put_bytes", writer(), host().bytes(value)[0])
            value = b""


@given(CONTENTS)
@example(BOARD)
@example({"a": b"ok\0", "b": {"a": b""}})
def test_what_is_written_is_read(nodes):
    blob = write(nodes, 8192)
    assert libfdt.FdtRo(blob).totalsize() == len(blob)
    assert dump(blob) == dump(built(nodes))
    assert load(blob) == 0
    assert dumped() == dump(blob)


@given(CONTENTS, st.integers(0, 600))
def test_a_small_buffer_holds_all_or_is_refused(nodes, room):
    """Nothing is written behind the buffer's end: the view's bounds would end the process."""
    whole = write(nodes, 8192)
    blob = write(nodes, room)
    if blob is None:
        assert room < len(whole) * 2 + 64  # the names' share of the buffer may be too large or too small
    else:
        assert blob == whole


def test_room_that_just_suffices():
    whole = write(BOARD, 8192)
    smallest = next(room for room in range(len(whole), 4096) if write(BOARD, room) is not None)
    for room in range(smallest - 64, smallest):
        assert write(BOARD, room) is None
    for room in range(smallest, smallest + 64):
        assert write(BOARD, room) == whole


def test_names_are_stored_once():
    nodes = {"compatible": b"", "x": {"compatible": b"", "reg": b""}, "y": {"compatible": b"", "reg": b""}}
    blob = write(nodes, 1024)
    assert blob.count(b"compatible\0") == 1
    assert blob.count(b"reg\0") == 1


def test_whole_properties():
    host().cleared(f"{SAMPLES}trees")
    view = host().bytes(bytes(512))
    host().call(f"{WRITER}init", writer(), view[0])
    host().call(f"{SAMPLES}begin_node", "")
    host().call(f"{WRITER}cell", writer(), "one", 0x01020304)
    host().call(f"{WRITER}wide", writer(), "two", 0x0102030405060708)
    host().call(f"{WRITER}empty", writer(), "none")
    host().call(f"{WRITER}end_node", writer())
    size = host().call(f"{WRITER}finish", writer())
    fdt = libfdt.FdtRo(host().contents(view)[:size])
    assert bytes(fdt.getprop(0, "one")) == bytes([1, 2, 3, 4])
    assert bytes(fdt.getprop(0, "two")) == bytes([1, 2, 3, 4, 5, 6, 7, 8])
    assert bytes(fdt.getprop(0, "none")) == b""


def test_scopes_end_what_they_begin():
    host().cleared(f"{SAMPLES}trees")
    view = host().bytes(bytes(1024))
    host().call(f"{WRITER}init", writer(), view[0])
    size = host().call(f"{SAMPLES}write_small_tree", 0x4000_0000)
    reg = bytes.fromhex("0000000040000000 0000000000001000")
    expected = {
        "#address-cells": bytes([0, 0, 0, 2]),
        "dma-coherent": b"",
        "memory@40000000": {"device_type": b"memory\0", "base": reg[:8], "reg": reg},
        "chosen": {"compatible": b"a\0b1073741824\0"},
    }
    assert dump(host().contents(view)[:size]) == dump(built(expected))


def test_a_scope_that_is_left_early_ends_as_well():
    host().cleared(f"{SAMPLES}trees")
    host().call(f"{WRITER}init", writer(), host().bytes(bytes(1024))[0])
    assert host().call(f"{SAMPLES}write_small_tree", 0) == 0
    assert (writer().depth, writer().open_property) == (0, 0)


def test_an_open_node_is_a_mistake_of_the_program():
    def unfinished():
        host().cleared(f"{SAMPLES}trees")
        host().call(f"{WRITER}init", writer(), host().bytes(bytes(512))[0])
        host().call(f"{SAMPLES}begin_node", "")
        host().call(f"{WRITER}finish", writer())

    assert ending(unfinished)[0] != 0
