"""Serial consoles of PCs as people have them: on a PCI card, the second port, where ACPI says, and mistyped options."""

import re
import struct
from pathlib import Path

import pytest

pytestmark = pytest.mark.x86

SECONDS = 60
FIRST_LINE = re.compile(r"\(hv\) Constrictor [\d.]+ on x86-64")


@pytest.fixture
def arch() -> str:
    return "x86"


def answers_keys(machine) -> None:
    machine.expect("CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)


def test_a_port_on_a_pci_card(hypervisor) -> None:
    """Found by its class, with the log from its first line; keys come by its interrupt."""
    machine = hypervisor("com1=115200,8n1,pci", serial="pci")
    machine.expect(FIRST_LINE, SECONDS)
    machine.expect(re.compile(r"com1: PCI 0000:00:\w\w\.\d, 0x\w+"), SECONDS)
    answers_keys(machine)


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "card"),
    [
        ("com1=115200/115200,8n1,pci,0", "pci-serial"),  # polled
        ("com1=auto,,pci,,00:1e.0", "pci-serial,addr=1e.0"),  # by its place
        ("com1=115200,8n1,0xe000,,00:1e.0", "pci-serial,addr=1e.0"),  # moved to another port
        ("com2=115200,8n1,pci console=com2,vga", "pci-serial-2x"),  # the card's second port
        ("com1=9600,8n1,pci", "pci-serial-4x"),
        ("com1=115200,8n1,0xd000,0,01:03.0,00:05.0", None),  # behind a bridge whose ports firmware has left closed
    ],
)
def test_other_cards(hypervisor, line, card) -> None:
    if card is None:
        bridge = ("-device", "pci-bridge,id=bridge,addr=5.0,chassis_nr=1")
        card, behind = "pci-serial,bus=bridge,addr=3.0", bridge
    else:
        behind = ()
    if "x" in card.split(",")[0]:
        ports = int(card[-2])
        front = 2 if line.startswith("com2") else 1
        names = ["terminal" if i + 1 == front else f"unused{i}" for i in range(ports)]
        chardevs = [word for name in names if name != "terminal" for word in ("-chardev", f"null,id={name}")]
        card += "," + ",".join(f"chardev{i + 1}={name}" for i, name in enumerate(names))
        extra = ("-chardev", "stdio,id=terminal", *chardevs, "-device", card)
    else:
        extra = ("-chardev", "stdio,id=terminal", *behind, "-device", f"{card},chardev=terminal")
    machine = hypervisor(line, serial="none", extra=extra)
    machine.expect(FIRST_LINE, SECONDS)
    answers_keys(machine)


def test_the_second_port(hypervisor) -> None:
    """Both speed and base speed are named; the default console is told to be elsewhere."""
    machine = hypervisor("console=com2 com2=38400/115200,8n1,0x2f8,3", serial="com2")
    machine.expect(FIRST_LINE, SECONDS)
    answers_keys(machine)


@pytest.mark.long
def test_mistakes_are_told_and_the_boot_goes_on(hypervisor) -> None:
    machine = hypervisor("com1=115200,9n1 com2=1 console=com1,hvc0")
    machine.expect("com1=115200,9n1: expected 5 to 8 data bits, parity n, o, e, m or s, and 1 or 2 stop bits", SECONDS)
    machine.expect('not "9n1"; com1 stays as it was', SECONDS)
    machine.expect('com2=1: expected a speed that divides the base speed, or auto, not "1"', SECONDS)
    machine.expect('console=com1,hvc0: expected com1, com2, vga or none, not "hvc0"', SECONDS)
    answers_keys(machine)


def spcr(place: Path, base: int, space: int = 1, kind: int = 0, irq: int = 3, pci=(0xFFFF, 0xFFFF, 0, 0, 0)):
    """QEMU's options for a table of the serial console, with 115200 bits a second."""
    body = struct.pack("<B3x4BQ", kind, space, 8, 0, 1, base) + struct.pack("<BBIBBBBBB", 1, irq, 0, 7, 0, 1, 0, 3, 0)
    place.write_bytes(body + struct.pack("<HHBBBIBI", *pci, 0, 0, 0))
    return ("-acpitable", f"sig=SPCR,rev=2,data={place}")


def test_where_acpi_says(hypervisor, tmp_path: Path) -> None:
    """SPCR names the second port, which has the log from its first line; keys come by the interrupt that it names."""
    machine = hypervisor(serial="com2", extra=spcr(tmp_path / "spcr", 0x2F8))
    machine.expect(FIRST_LINE, SECONDS)
    machine.expect("(hv) com1: I/O port 0x2f8, as ACPI's SPCR says", SECONDS)
    answers_keys(machine)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"base": 0x2F8, "kind": 3}, "ACPI's SPCR names a console of interface type 0x3, which there is no driver for"),
        ({"base": 0x100_0000, "space": 0}, "a console at 0x1000000 (MEMORY), which cannot be used: EINVAL"),
        ({"base": 1 << 60, "space": 0}, "a console at 0x1000000000000000 (MEMORY), which cannot be used: EINVAL"),
    ],
)
def test_a_console_that_acpi_cannot_mean(hypervisor, tmp_path: Path, named, said) -> None:
    """A type without a driver; in the middle of RAM; beyond what the CPU can address: the first port keeps it."""
    machine = hypervisor(extra=spcr(tmp_path / "spcr", **named))
    machine.expect(said, SECONDS)
    answers_keys(machine)


@pytest.mark.long
def test_a_pci_card_that_acpi_names(hypervisor, tmp_path: Path) -> None:
    """At the first of the ports that the firmware gives away for it."""
    table = spcr(tmp_path / "spcr", 0xC060, irq=10, pci=(0x0002, 0x1B36, 0, 0x1E, 0))
    card = ("-chardev", "stdio,id=terminal", "-device", "pci-serial,addr=1e.0,chardev=terminal")
    machine = hypervisor(serial="none", extra=(*card, *table))
    machine.expect(FIRST_LINE, SECONDS)
    machine.expect("com1: I/O port 0xc060, as ACPI's SPCR says", SECONDS)
    answers_keys(machine)


@pytest.mark.long
def test_no_console_at_all(hypervisor) -> None:
    machine = hypervisor("console=none")
    machine.expect_silence_of("(hv)", 5)
