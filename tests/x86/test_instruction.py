"""What a control block tells of the instruction that brought the guest out, for CPUs that tell it and those that do not
(AMD APM 2, 15.7.1 and 15.33)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

MODULE = "hv.x86.svm.instruction."
NEXT_RIP, DECODE_ASSISTS = 1 << 3, 1 << 7
NESTED_FAULT, CR8_WRITE, VMMCALL = 0x400, 0x18, 0x81
IS_MOVE = 1 << 63
PLAIN = 3  # bytes of VMMCALL
MOVE = bytes([0x44, 0x89, 0x87, 0x80, 0, 0, 0])  # mov [rdi + 0x80], r8d


@pytest.fixture
def vmcb():
    return host().cleared("hv.sim.svm.vmcb")


def cpu_has(capabilities):
    features = host().cleared("hv.x86.svm.features.svm_features")
    features.has = capabilities


def fetched(vmcb, exit_code=NESTED_FAULT, count=15, data=MOVE):
    """The bytes that the decoder is given."""
    code = host().cleared("hv.sim.svm.decoding").code
    code.length = 9  # of an instruction before
    code.overrun = True
    vmcb.exit_code = exit_code
    vmcb.fetched = count
    for i in range(15):
        vmcb.instruction[i] = data[i] if i < len(data) else 0xCC
    host().call(f"{MODULE}copy_fetched", vmcb, host().ffi.addressof(code))
    assert not code.overrun
    return bytes(code.bytes)[: code.length]


@given(st.integers(0, (1 << 64) - 1), st.integers(1, 15))
def test_the_length_is_what_the_cpu_says_with_all_prefixes(rip, length):
    """Of code anywhere, also where the address space begins anew. 0 it saves behind what is no instruction's exit."""
    vmcb = host().cleared("hv.sim.svm.vmcb")
    cpu_has(NEXT_RIP)
    vmcb.rip = rip
    vmcb.next_rip = (rip + length) % (1 << 64)
    told = host().call(f"{MODULE}length_of", vmcb, PLAIN)
    assert told == (length if vmcb.next_rip else PLAIN)


@pytest.mark.parametrize("capabilities", [0, DECODE_ASSISTS])
def test_without_next_rip_save_the_plain_length_counts(vmcb, capabilities):
    """Whatever lies in the field, which such a CPU does not write."""
    cpu_has(capabilities)
    vmcb.rip, vmcb.next_rip = 0x1000, 0x1005
    assert host().call(f"{MODULE}length_of", vmcb, PLAIN) == PLAIN
    vmcb.exit_code, vmcb.exit_info1 = CR8_WRITE, IS_MOVE | 9
    assert not host().call(f"{MODULE}tells_register", vmcb), "its length is not known"


@given(st.integers(0, 15))
def test_the_bytes_that_the_cpu_has_read_are_those_that_are_decoded(count):
    vmcb = host().cleared("hv.sim.svm.vmcb")
    cpu_has(DECODE_ASSISTS)
    assert fetched(vmcb, count=count) == (MOVE + bytes([0xCC] * 8))[:count]
    assert fetched(vmcb, count=count | 0xF0) == (MOVE + bytes([0xCC] * 8))[:count], "reserved bits"


def test_what_was_read_is_decoded(vmcb):
    cpu_has(DECODE_ASSISTS)
    assert len(fetched(vmcb)) == 15
    decoded = host().call("hv.sim.svm.decode", 2)
    assert (decoded.length, decoded.which, decoded.size) == (len(MOVE), 8, 4)


@pytest.mark.parametrize(
    ("capabilities", "exit_code", "count"),
    [(NEXT_RIP, NESTED_FAULT, 15), (DECODE_ASSISTS, NESTED_FAULT, 0), (DECODE_ASSISTS, CR8_WRITE, 15)],
    ids=["no decode assists", "SMAP kept the CPU from reading", "no nested page fault"],
)
def test_else_nothing_was_read(vmcb, capabilities, exit_code, count):
    cpu_has(capabilities)
    assert fetched(vmcb, exit_code, count) == b""


@pytest.mark.parametrize("register", range(16))
def test_the_register_that_is_moved_to_cr8_is_told(vmcb, register):
    cpu_has(DECODE_ASSISTS | NEXT_RIP)
    vmcb.exit_code, vmcb.exit_info1 = CR8_WRITE, IS_MOVE | register
    vmcb.rip, vmcb.next_rip = 0x1000, 0x1004
    assert host().call(f"{MODULE}tells_register", vmcb)
    assert host().call(f"{MODULE}register_of", vmcb) == register
    vmcb.exit_info1 = register
    assert not host().call(f"{MODULE}tells_register", vmcb), "the CPU does not say that it is one"


def test_without_decode_assists_the_register_is_not_told(vmcb):
    cpu_has(NEXT_RIP)
    vmcb.exit_code, vmcb.exit_info1 = CR8_WRITE, IS_MOVE | 3
    vmcb.rip, vmcb.next_rip = 0x1000, 0x1004
    assert not host().call(f"{MODULE}tells_register", vmcb)
