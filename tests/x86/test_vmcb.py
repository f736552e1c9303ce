"""The control block lies as AMD APM 2, appendix B has it, and the permission maps as 15.10 and 15.11."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

PLACES = {
    "cr_reads": 0x000, "dr_reads": 0x004, "exceptions": 0x008, "intercepts1": 0x00C, "intercepts2": 0x010,
    "intercepts3": 0x014, "pause_threshold": 0x03C, "pause_count": 0x03E, "iopm": 0x040, "msrpm": 0x048,
    "tsc_offset": 0x050, "asid": 0x058, "tlb_control": 0x05C, "interrupt": 0x060, "shadow": 0x068, "exit_code": 0x070,
    "exit_info1": 0x078, "exit_info2": 0x080, "exit_event": 0x088, "nested": 0x090, "avic_bar": 0x098, "ghcb": 0x0A0,
    "injection": 0x0A8, "nested_cr3": 0x0B0, "extensions": 0x0B8, "clean": 0x0C0, "next_rip": 0x0C8, "fetched": 0x0D0,
    "instruction": 0x0D1, "segments": 0x400, "cpl": 0x4CB, "efer": 0x4D0, "cr4": 0x548, "cr3": 0x550, "cr0": 0x558,
    "dr7": 0x560, "dr6": 0x568, "rflags": 0x570, "rip": 0x578, "rsp": 0x5D8, "s_cet": 0x5E0, "ssp": 0x5E8,
    "isst": 0x5F0, "rax": 0x5F8, "star": 0x600, "lstar": 0x608, "cstar": 0x610, "sfmask": 0x618,
    "kernel_gs_base": 0x620, "sysenter_cs": 0x628, "sysenter_esp": 0x630, "sysenter_eip": 0x638, "cr2": 0x640,
    "pat": 0x668, "debug_control": 0x670, "branch_from": 0x678, "branch_to": 0x680, "exception_from": 0x688,
    "exception_to": 0x690,
}  # fmt: skip


def test_every_field_is_in_its_place():
    kind = host().ffi.typeof(host().variable("hv.sim.svm.vmcb")).item
    assert host().ffi.sizeof(kind) == 0x1000
    named = {name: field.offset for name, field in kind.fields if not name.startswith(("reserved", "cx_"))}
    assert {name: named[name] for name in PLACES} == PLACES
    assert set(named) - set(PLACES) == {"cr_writes", "dr_writes"}


def test_segments_are_in_the_order_of_their_names():
    """400h ES, 410h CS, 420h SS, 430h DS, 440h FS, 450h GS, 460h GDTR, 470h LDTR, 480h IDTR, 490h TR."""
    vmcb = host().variable("hv.sim.svm.vmcb")
    kind = host().ffi.typeof(vmcb.segments[0])
    assert host().ffi.sizeof(kind) == 16
    assert {name: field.offset for name, field in kind.fields} == {
        "selector": 0, "attributes": 2, "limit": 4, "base": 8,
    }  # fmt: skip
    names = ["ES", "CS", "SS", "DS", "FS", "GS", "GDTR", "LDTR", "IDTR", "TR"]
    from hv.x86.hvm.segment import SegmentName

    assert [SegmentName(i).name for i in range(10)] == names


RANGES = ((0x0, 0x0), (0xC000_0000, 0x800), (0xC001_0000, 0x1000))


@given(st.integers(0, 0xFFFF_FFFF) | st.integers(0, 0x2100) | st.integers(0xBFFF_FFF0, 0xC001_2010))
def test_the_bit_of_a_register(register):
    said = host().call("hv.x86.svm.permissions.bit_of", register)
    for first, byte in RANGES:
        if first <= register < first + 0x2000:
            assert said == byte * 8 + (register - first) * 2
            return
    assert said == 0xFFFF_FFFF


def test_only_what_the_hardware_switches_is_open():
    """VMLOAD and VMSAVE (15.5.2) move these; everything else brings the guest out, both ways."""
    maps = host().cleared("hv.x86.svm.permissions.registers")
    host().call("hv.x86.svm.permissions.RegisterMap.close", maps)
    own = [0x174, 0x175, 0x176, 0xC000_0081, 0xC000_0082, 0xC000_0083, 0xC000_0084]
    own += [0xC000_0100, 0xC000_0101, 0xC000_0102]
    for register in own:
        host().call("hv.x86.svm.permissions.RegisterMap.open", maps, register)
    bits = bytes(host().ffi.buffer(maps.words))
    shut = {i for i in range(len(bits) * 8) if bits[i // 8] >> i % 8 & 1}
    open_ = {host().call("hv.x86.svm.permissions.bit_of", register) + way for register in own for way in (0, 1)}
    assert shut == set(range(8192 * 8)) - open_


@pytest.mark.parametrize(
    ("asids", "features", "allowed", "hint"),
    [
        (16, 1, True, ""),
        (16, 1, False, "firmware"),
        (16, 0, True, "nested paging"),
        (1, 1, True, "address space identifier"),
    ],
)
def test_what_hinders_guests_is_told(asids, features, allowed, hint):
    told = host().call("hv.x86.svm.features.hindrance_of", asids, features, allowed)
    assert (hint in told) if hint else told == ""


VM_CR = 0xC001_0114
LOCK, SVMDIS = 1 << 3, 1 << 4


class Firmware:
    """VM_CR as the firmware has left it; once locked, or where the CPU has it fixed, writes are ignored (15.30.1)."""

    def __init__(self, value: int, fixed: bool = False) -> None:
        self.value, self.fixed, self.writes = value, fixed, 0
        ffi, cpu = host().ffi, host().cleared("hv.sim.x86_devices.cpu")
        self.kept = (
            ffi.callback("unsigned long(unsigned int)", self.read),
            ffi.callback("void(unsigned int, unsigned long)", self.write),
        )
        cpu.msr_read, cpu.msr_written = self.kept

    def read(self, register: int) -> int:
        assert register == VM_CR
        return self.value

    def write(self, register: int, value: int) -> None:
        assert register == VM_CR
        self.writes += 1
        if not self.fixed and not self.value & LOCK:
            self.value = value


@pytest.mark.parametrize(
    ("left", "fixed", "allowed", "writes"),
    [
        (0, False, True, 0),
        (LOCK, False, True, 0),
        (SVMDIS, False, True, 1),
        (SVMDIS | 1 << 1, False, True, 1),
        (SVMDIS, True, False, 1),
        (SVMDIS | LOCK, False, False, 0),
    ],
)
def test_svm_is_used_unless_the_firmware_has_turned_it_off_for_good(left, fixed, allowed, writes):
    """What is off and not locked is turned on; what stays off is told of, with what to do in the firmware's setup."""
    firmware = Firmware(left, fixed)
    features = host().cleared("hv.x86.svm.features.svm_features")
    host().call("hv.x86.svm.features.SvmFeatures.find", features)
    assert (features.allowed, firmware.writes) == (allowed, writes)
    assert firmware.value & ~SVMDIS == left & ~SVMDIS, "the other bits stay"
    assert bool(firmware.value & SVMDIS) != allowed
    told = host().call("hv.x86.svm.features.hindrance_of", 16, 1, features.allowed)
    assert told == "" if allowed else "the firmware has turned SVM off: turn on what its setup calls SVM mode" in told
