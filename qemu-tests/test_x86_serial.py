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


@pytest.mark.long
def test_where_acpi_says(hypervisor, tmp_path: Path) -> None:
    """SPCR names the second port; the first one, which was tried before, has the lines up to then."""
    body = struct.pack("<B3x4BQ", 0, 1, 8, 0, 1, 0x2F8) + struct.pack("<BBIBBBBBB", 1, 3, 0, 0, 0, 1, 0, 3, 0)
    body += struct.pack("<HHBBBIBI", 0xFFFF, 0xFFFF, 0, 0, 0, 0, 0, 0)
    table = tmp_path / "spcr"
    table.write_bytes(body)
    machine = hypervisor(serial="com2", extra=("-acpitable", f"sig=SPCR,rev=2,data={table}"))
    machine.expect(FIRST_LINE, SECONDS)
    answers_keys(machine)


@pytest.mark.long
def test_no_console_at_all(hypervisor) -> None:
    machine = hypervisor("console=none")
    machine.expect_silence_of("(hv)", 5)
