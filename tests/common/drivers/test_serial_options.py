"""com1= and com2=: every part of Xen's grammar, by position and by name, and what is said of what cannot be read."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.host import EINVAL, host

READ = "hv.common.drivers.serial_options.SerialOptions."
PLACE, PCI, AMT = 0, 1, 2
OWN_IRQ = 0xFFFF_FFFF
PARITY = {"n": 0x00, "o": 0x08, "e": 0x18, "m": 0x28, "s": 0x38}


def read(text):
    """The options, or (what was wrong, what was expected)."""
    options = host().library.new("hv.common.drivers.serial_options.SerialOptions")
    host().kept[:] = [options]
    host().call(f"{READ}init", options)
    code = host().errno(f"{READ}read", options, text)
    if code:
        assert code == EINVAL
        return host().library.text(options.wrong), host().library.text(options.expected)
    assert options.given
    return options


def sbdf(bus, device, function, segment=0):
    return segment << 16 | bus << 8 | device << 3 | function


def test_examples_of_xens_manual():
    options = read("115200,8n1,0x3f8,4")
    assert (options.baud, options.frame, options.base, options.irq) == (115200, 3, 0x3F8, 4)
    assert (options.search, options.shift, options.width) == (PLACE, 0, 1)
    options = read("115200,8n1,0x3f8,4,reg-width=4,reg-shift=2")
    assert (options.irq, options.shift, options.width) == (4, 2, 4)
    options = read("baud=115200,parity=n,stop-bits=1,io-base=0x3f8,reg-width=4")
    assert (options.baud, options.frame, options.base, options.width) == (115200, 3, 0x3F8, 4)
    assert read("115200,8n1").irq == OWN_IRQ


def test_parts_that_are_left_empty_keep_their_defaults():
    options = read("auto,,pci,,00:03.0,00:1e.0")
    assert (options.baud, options.search, options.irq) == (0, PCI, OWN_IRQ)
    assert (options.has_port, options.port, options.has_bridge, options.bridge) == (
        True,
        sbdf(0, 3, 0),
        True,
        sbdf(0, 0x1E, 0),
    )
    assert read(",,amt").search == AMT
    assert read("").baud == 0


@given(
    st.integers(5, 8), st.sampled_from("noems"), st.integers(1, 2), st.integers(0, 255), st.integers(0, 31),
    st.integers(0, 7), st.integers(0, 0xFFFF), st.booleans(),
)  # fmt: skip
def test_positions_and_names_say_the_same(data, parity, stop, bus, device, function, segment, with_segment):
    name = f"{bus:x}:{device:02X}.{function}"
    if with_segment:
        name = f"{segment:04x}:{name}"
    names = f"parity={parity},port={name},data-bits={data},baud=9600,stop-bits={stop},irq=0,io-base=0xfe036000,"
    for text in (f"9600/921600,{data}{parity}{stop},0xfe036000,0,{name}", names + "clock-hz=14745600"):
        options = read(text)
        assert options.frame == data - 5 | PARITY[parity] | (stop - 1) << 2
        assert (options.base, options.irq) == (0xFE03_6000, 0)
        assert options.port == sbdf(bus, device, function, segment if with_segment else 0)
        assert (options.base_baud, host().call(f"{READ}divisor", host().ffi.addressof(options, 0))) == (921600, 96)


@given(st.integers(1, 0xFFF_FFFF), st.integers(1, 0xFFF_FFFF))
@example(115200, 115200)
@example(230401, 115200)
@example(1, 65535)
@example(1, 65536)
def test_a_speed_that_no_divisor_gives_is_refused(baud, base):
    nearest = (base + baud // 2) // baud
    options = read(f"{baud}/{base}")
    if 1 <= nearest <= 0xFFFF:
        assert host().call(f"{READ}divisor", host().ffi.addressof(options, 0)) == nearest
    else:
        assert options == (f"{baud}/{base}", "a speed that divides the base speed, or auto")


@pytest.mark.parametrize(
    ("text", "wrong", "expected"),
    [
        ("fast", "fast", "a speed"),
        ("0", "0", "a speed"),
        ("115200/", "115200/", "a speed"),
        ("115200/0", "115200/0", "a speed"),
        ("115200,9n1", "9n1", "5 to 8 data bits, parity"),
        ("115200,8x1", "8x1", "5 to 8 data bits, parity"),
        ("115200,8n3", "8n3", "5 to 8 data bits, parity"),
        ("115200,8n", "8n", "5 to 8 data bits, parity"),
        ("115200,8n1,com1", "com1", "an I/O port"),
        ("115200,8n1,0", "0", "an I/O port"),
        ("115200,8n1,0x1000000000000", "0x1000000000000", "an I/O port"),
        ("115200,8n1,pci,msi", "msi", "an interrupt's number"),
        ("115200,8n1,pci,,3.0", "3.0", "<bus>:<device>.<function>"),
        ("115200,8n1,pci,,0:20.0", "0:20.0", "<bus>:<device>.<function>"),
        ("115200,8n1,pci,,0:1.8", "0:1.8", "<bus>:<device>.<function>"),
        ("115200,8n1,pci,,0:1.", "0:1.", "<bus>:<device>.<function>"),
        ("115200,8n1,pci,,100:1.0", "100:1.0", "<bus>:<device>.<function>"),
        ("115200,8n1,pci,,1:2:3:4.0", "1:2:3:4.0", "<bus>:<device>.<function>"),
        ("115200,8n1,pci,,1.0:2", "1.0:2", "<bus>:<device>.<function>"),
        ("115200,8n1,pci,,,00:0g.0", "00:0g.0", "<bus>:<device>.<function>"),
        ("1,2,3,4,5,6,7", "2", "5 to 8"),
        (",,,,,,x", "x", "one of six parts"),
        ("speed=9600", "speed=9600", "one of six parts"),
        ("=9600", "=9600", "one of six parts"),
        ("dev=usb", "dev=usb", "pci or amt"),
        ("reg-width=2", "reg-width=2", "1 or 4 bytes"),
        ("reg-shift=4", "reg-shift=4", "a shift"),
        ("clock-hz=15", "clock-hz=15", "the clock in Hz"),
        ("stop-bits=0", "stop-bits=0", "1 or 2"),
        ("parity=none", "parity=none", "parity n, o"),
        ("data-bits=4", "data-bits=4", "5 to 8"),
        ("dev=pci,io-base=0x3f8", "dev=pci,io-base=0x3f8", "either pci or amt"),
    ],
)
def test_mistakes(text, wrong, expected):
    said = read(text)
    assert isinstance(said, tuple), "it was taken"
    assert said[0] == wrong and said[1].startswith(expected)


@given(st.text("0123456789abcdefx,./:=pciamtHLno-", max_size=40))
def test_any_text_is_read_or_told(text):
    said = read(text)
    if isinstance(said, tuple):
        assert said[0] in text and re.match(r"\S", said[1])


# console=


CHOICE = "hv.common.drivers.console_choice."


def choose(text):
    for name in ("kernel.console.console", "drivers.console_choice.choice"):
        host().cleared(f"hv.common.{name}")
    host().printed()
    host().call("hv.sim.console.attach")
    assert host().call(f"{CHOICE}console", text)
    choice = host().variable(f"{CHOICE}choice")
    coms = tuple(host().call(f"{CHOICE}Choice.uses_com", choice, i) for i in range(2))
    return *coms, host().call(f"{CHOICE}Choice.uses_screen", choice), tuple(choice.marks), host().printed()


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("com1", (True, False, False, (0, 0))),
        ("com2", (False, True, False, (0, 0))),
        ("vga", (False, False, True, (0, 0))),
        ("none", (False, False, False, (0, 0))),
        ("com1,vga,com2,none", (True, True, True, (0, 0))),
        ("com1H,com2L", (True, True, False, (1, 2))),
    ],
)
def test_devices_of_the_console(text, chosen):
    assert choose(text) == (*chosen, "")


@pytest.mark.parametrize("text", ["", "com3", "com1,hvc0", "com1h", "vga,com2HL", "xhci"])
def test_no_such_device(text):
    wrong = {"com1,hvc0": "hvc0", "vga,com2HL": "com2HL"}.get(text, text)
    said = f'(hv) console={text}: expected com1, com2, vga or none, not "{wrong}"; it stays on com1 and the screen\r\n'
    assert choose(text) == (True, False, True, (0, 0), said)
