"""`./dev bench`: what is read from a run, what is made of it, and counts checked against a program of known length."""

import io
import json
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from devtools import guests, qemu, scenario
from devtools.bench import arm64, boot, command, linux, peer, protocol, rows, x86, xen_memory
from devtools.bench.rows import Figure, Row
from devtools.bench.stamps import Stamps, Watch
from devtools.machine import Machine
from devtools.report import Problem

ON_XEN = (
    "(XEN) Freed 348kB init memory.\r\n"
    "(XEN) DOM1: READY bench\r\n"
    "(XEN) DOM1: BENCH clock 62500000\r\n"
    "(XEN) DOM1: BENCH hvc_psci_version 100000 2963080 18750\r\n"
    "(XEN) DOM1: BENCH vgicd_typer_read 100000 3838369 18750\r\n"
    "(XEN) DOM1: BENCH vpl011_flag_read 100000 3988515 18750\r\n"
    "(XEN) DOM1: BENCH timer_running 1024 69248 0\r\n"
    "(XEN) DOM1: BENCH timer_waiting 1024 279808 0\r\n"
    "(XEN) DOM1: BENCH spi_running 1024 67776 0\r\n"
    "(XEN) DOM1: DONE bench ok\r\n"
)
MEASURED = {
    "hvc_psci_version": 471,
    "vgicd_typer_read": 611,
    "vpl011_flag_read": 635,
    "timer_running": 1082,
    "timer_waiting": 4372,
    "spi_running": 1059,
}

PRINTER = (
    *(
        0x14000010,
        0,
        0x80000,
        0,
        0x1000,
        0,
        0xA,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x644D5241,
        0,
    ),  # b 0x40; the rest of an Image header
    0x10000103,  # 0x40: adr x3, 0x60
    0xD2A12001,  # movz x1, #0x0900, lsl #16
    0x38401462,  # 0x48: ldrb w2, [x3], #1
    0x34000062,  # cbz w2, 0x58
    0xB9000022,  # str w2, [x1]
    0x17FFFFFD,  # b 0x48
    0xD503201F,  # 0x58: nop
    0x14000000,  # b .
)
"""Prints the text behind it on the PL011 of virt, then executes a nop and stays: an arm64 Image for EL2."""
BEFORE_LOOP = 6 + 3  # six of QEMU's own boot code (hw/arm/boot.c, bootloader_aarch64), then b, adr, movz
NOP = 0x40080058


@pytest.fixture
def printer(tmp_path, monkeypatch):
    """Makes an image that prints a text, and has it run in place of a hypervisor with its nop as the guest."""

    def make(text: bytes) -> Path:
        image = tmp_path / "printer.image"
        image.write_bytes(struct.pack(f"<{len(PRINTER)}I", *PRINTER) + text + b"\0")
        return image

    machine = scenario.Machine(cpus=1, memory=64)
    kernel = tmp_path / "kernel"
    kernel.write_bytes(struct.pack("<IIQ48x", 0xD503201F, 0, NOP - arm64.GUEST_MEMORY))
    monkeypatch.setattr(guests, "kernel", lambda architecture: kernel)
    monkeypatch.setattr(arm64, "_command", lambda name, image: qemu.command(machine, qemu.Payload(image), icount=True))
    monkeypatch.setattr(arm64, "RUN_SECONDS", 20)
    return make


@pytest.mark.emulator
@pytest.mark.arm64
def test_counts_are_exact(printer):
    text = b"\r\n hypervisor\r\nsecond line\n"
    figures = (arm64.FIRST_LINE, arm64.GUEST_START, arm64.IMAGE_SIZE)
    found = arm64.measure(image := printer(text), figures)
    first_line = text.index(b"r\r\n") + 2
    assert found == {
        arm64.FIRST_LINE: BEFORE_LOOP + 4 * first_line + 3,
        arm64.GUEST_START: BEFORE_LOOP + 4 * len(text) + 2,
        arm64.IMAGE_SIZE: image.stat().st_size,
    }


@pytest.mark.emulator
@pytest.mark.arm64
def test_code_is_known_by_its_bytes_wherever_it_lies(printer, tmp_path):
    """Also where it jumps away before the bytes that are compared end."""
    jump, main = struct.pack("<4I", *PRINTER[:4]), struct.pack("<4I", *PRINTER[16:20])
    stamps = Stamps(Watch(uart=arm64.UART, start=jump, guest=main), tmp_path)
    with Machine([*arm64._command("traps", printer(b"line\n")), *stamps.options]) as machine:
        machine.expect("line", 20)
        stamps.update()
    assert (stamps.start, stamps.guest) == (BEFORE_LOOP - 3, BEFORE_LOOP - 2)


def test_the_first_bytes_of_a_program(tmp_path):
    place = tmp_path / "elf"
    place.write_bytes(xen_memory.domain_0())
    assert x86.entry_code(place) == b"\xeb\xfe"
    broken = bytearray(xen_memory.domain_0())
    struct.pack_into("<Q", broken, 24, 0x1234)
    place.write_bytes(broken)
    with pytest.raises(Problem, match="no segment with its entry 0x1234"):
        x86.entry_code(place)


@pytest.mark.emulator
@pytest.mark.arm64
def test_traps_are_read_from_the_console(printer):
    assert arm64.measure(printer(ON_XEN.encode()), arm64.TRAPS[1:]) == {
        figure: MEASURED[figure.name.removeprefix("arm64.")] for figure in arm64.TRAPS[1:]
    }


@pytest.mark.emulator
@pytest.mark.arm64
@pytest.mark.parametrize("lacking", ["vgicd_typer_read", "clock"])
def test_a_missing_line_of_the_unikernel_is_named(printer, lacking):
    image = printer("".join(line for line in ON_XEN.splitlines(True) if lacking not in line).encode())
    with pytest.raises(Problem, match=lacking):
        arm64.measure(image, arm64.TRAPS)


@pytest.mark.emulator
@pytest.mark.arm64
def test_a_machine_that_never_gets_there_ends_with_what_it_printed(printer, monkeypatch):
    monkeypatch.setattr(arm64, "RUN_SECONDS", 1)
    with pytest.raises(Problem, match=r"bench unikernel did not end(?s:.*)only this"):
        arm64.measure(printer(b"only this\n"), arm64.TRAPS)
    elsewhere = guests.kernel("arm64")
    elsewhere.write_bytes(struct.pack("<IIQ48x", 0xD503201F, 0, NOP + 4 - arm64.GUEST_MEMORY))
    with pytest.raises(Problem, match=r"no guest began(?s:.*)only this"):
        arm64.measure(printer(b"only this\n"), [arm64.GUEST_START])
    elsewhere.write_bytes(struct.pack("<IIQ48x", 0xD503201F, 0, NOP - arm64.GUEST_MEMORY))
    with pytest.raises(Problem, match=r"1 of 2 guests began(?s:.*)only this"):
        arm64.measure(printer(b"only this\n"), [arm64.SECOND_START])


def test_instructions_per_operation():
    assert protocol.instructions(ON_XEN) == MEASURED
    assert protocol.instructions(ON_XEN.replace("(XEN) DOM1: ", "(d1 bench) ")) == MEASURED
    halved = ON_XEN.replace("clock 62500000", "clock 125000000")
    assert protocol.instructions(halved)["vgicd_typer_read"] == 306


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ON_XEN.replace("DONE bench ok", "DONE bench fail no GIC"), "fail no GIC"),
        (ON_XEN.replace("DONE bench ok", ""), "without a word"),
        (ON_XEN.replace("BENCH clock 62500000", ""), "CNTFRQ_EL0"),
        (ON_XEN.replace("clock 62500000", "clock 0"), "CNTFRQ_EL0"),
        (ON_XEN.replace("vpl011_flag_read", "vgicd_typer_read"), "vgicd_typer_read' twice"),
        (ON_XEN.replace("100000 3838369 18750", "100000 18749 18750"), "cannot be"),
        (ON_XEN.replace("100000 3838369", "0 3838369"), "cannot be"),
    ],
)
def test_a_broken_agreement_is_named(text, words):
    with pytest.raises(Problem, match=words):
        protocol.instructions(text)


def test_stamps_come_in_pieces(tmp_path):
    stamps = Stamps(Watch(1, 2, 3), tmp_path)
    log = Path(stamps.options[-1])
    seen = []
    for piece in ("u 10", "5\nu 1", "10\ng 111\nu 200\n", "g 300\n"):
        with log.open("a") as file:
            file.write(piece)
        stamps.update()
        seen.append((list(stamps.uart), stamps.guest, len(stamps.guests)))
    assert seen == [([], None, 0), ([105], None, 0), ([105, 110, 200], 111, 1), ([105, 110, 200], 111, 2)]
    with log.open("a") as file:
        file.write("v 1\n")
    with pytest.raises(Problem, match="'v 1'"):
        stamps.update()


def test_a_wait_counts_from_the_first_byte_on_and_a_byte_on_a_port_only_if_it_is_sent(tmp_path):
    """A 16550 takes the divisor where it takes data, and in loopback it sends nothing (16550D, 8.0)."""
    stamps = Stamps(Watch(port=True), tmp_path)
    assert stamps.options[-2:] == ["-trace", "serial_write"]
    write = "serial_write write addr 0x{:02x} val 0x{:02x}\n".format
    steps = (
        "w 5\n",  # the firmware
        "o 10\n" + write(3, 0x83) + "o 11\n" + write(0, 1) + "o 12\n" + write(3, 3),
        "o 13\n" + write(4, 0x13) + "o 14\n" + write(0, 0x55) + "o 15\n" + write(4, 3),
        "o 20\n" + "o 30\n" + write(0, 0x41),  # the first of both to another device
        "o 40\n" + write(1, 0x41) + "o 50\n" + write(0, 0x0A),
        "w 60\nw 70\n",
    )
    (tmp_path / "stamps.log").write_text("".join(steps))
    stamps.update()
    assert (stamps.uart, stamps.wait) == ([31, 51], 60)


ARM64_1G = boot.MEASUREMENTS[0]


@pytest.fixture
def idler(tmp_path):
    """Makes a program of known length that prints a text and then executes `ending` for ever."""

    def make(text: bytes, ending: int, last_line: bytes | None = None) -> dict[str, boot.Hypervisor]:
        words = [*PRINTER]
        words[22] = ending
        words[23] = 0x17FFFFFF  # b 0x58
        image = tmp_path / "idler.image"
        image.write_bytes(struct.pack(f"<{len(words)}I", *words) + text + b"\0")
        return {"arm64": boot.Hypervisor(qemu.Payload(image), last_line)}

    return make


WFI, ISB = 0xD503207F, 0xD5033FDF


@pytest.mark.emulator
@pytest.mark.arm64
def test_boot_counts_are_exact(idler):
    text = b"first\n1000 MiB of memory are free\nlast\n"
    first = BEFORE_LOOP + 4 * text.index(b"\n") + 3
    found = boot.measure(idler(text, WFI), ARM64_1G.figures)
    assert found == {
        ARM64_1G.first_line: first,
        ARM64_1G.idle: BEFORE_LOOP + 4 * len(text) + 2,
        ARM64_1G.kept: 24 << 10,
    }
    found = boot.measure(idler(text, ISB, b"memory are"), ARM64_1G.figures[:2])
    assert found == {ARM64_1G.first_line: first, ARM64_1G.idle: first + 4}


@pytest.mark.emulator
@pytest.mark.arm64
def test_memory_that_xen_keeps(idler):
    """What is free and the domain's 16 MiB are not Xen's own; its console takes keys of the last domain first."""
    xen = (
        b"(XEN) *** Serial input to DOM1 (type 'CTRL-a' three times to switch input)\n"
        b"(XEN) Freed 348kB init memory.\n"
        b"(XEN) *** Serial input to Xen (type 'CTRL-a' three times to switch input)\n"
        b"(XEN)     Dom heap: 1014616kB free\n"
    )
    (hypervisor,) = idler(xen, WFI).values()
    command = qemu.command(boot._hardware("arm64", 1), hypervisor.payload, icount=True)
    assert xen_memory.kept(command, 1) == (1 << 20) - (16 << 10) - 1014616


def test_a_domain_0_of_one_instruction():
    """An ELF that an independent reader takes: entered where its code is, with what Xen asks for in its notes."""
    elf = ELFFile(io.BytesIO(xen_memory.domain_0()))
    code, notes = elf.iter_segments()
    assert (code["p_type"], code["p_vaddr"], code.data()) == ("PT_LOAD", elf["e_entry"], b"\xeb\xfe")
    by_kind = {bytes(note["n_descdata"]) for note in notes.iter_notes()}
    assert {b"xen-3.0\0", b"generic\0", struct.pack("<Q", elf["e_entry"])} <= by_kind
    assert {note["n_name"] for note in notes.iter_notes()} == {"Xen"}


@pytest.mark.emulator
@pytest.mark.arm64
def test_a_hypervisor_that_never_idles_or_hides_its_memory_is_named(idler, monkeypatch):
    with pytest.raises(Problem, match=r"did not say how much memory is free: b'only this"):
        boot.measure(idler(b"only this\n", WFI), ARM64_1G.figures)
    monkeypatch.setattr(boot, "RUN_SECONDS", 1)
    with pytest.raises(Problem, match=r"did not become idle(?s:.*)only this") as problem:
        boot.measure(idler(b"only this\n", ISB), ARM64_1G.figures)
    assert problem.value.exit_status == 1


@pytest.mark.parametrize(
    ("output", "stores", "answer"),
    [
        (b"ab\ncd\n", 6, 102),
        (b"\r\n  ab\r\n", 8, 107),
        (b"ab", 2, "no line"),
        (b"\n\n", 2, "no line"),
        (b"ab\n", 2, "3 bytes were printed but 2 writes"),
        (b"qemu-system-aarch64: warning: x\nab\n", 3, "emulator itself"),
    ],
)
def test_the_first_line_that_shows_anything(tmp_path, output, stores, answer):
    stamps = Stamps(Watch(1, 2, 3), tmp_path)
    stamps.uart = list(range(100, 100 + stores))
    if isinstance(answer, int):
        assert stamps.first_line(output) == answer
    else:
        with pytest.raises(Problem, match=answer):
            stamps.first_line(output)


def test_the_first_line_behind_a_moment(tmp_path):
    stamps = Stamps(Watch(1, 2, 3), tmp_path)
    stamps.uart = list(range(100, 112))
    assert stamps.first_line(b"loader\nhv 1\n", after=106) == 111


def test_the_first_instruction_of_an_image(tmp_path):
    kernel = tmp_path / "Image"
    kernel.write_bytes(struct.pack("<IIQ", 0xFA405A4D, 0x14000000, 0x80000) + bytes(100))
    assert arm64.first_instruction(kernel) == (0x40080000, 0xFA405A4D)


GOOD = Figure("arm64.good", "below its target", target=0.5)
FREE = Figure("arm64.free", "without a target", unit="bytes")
ALONE = Figure("arm64.alone", "what Xen has not", target=0.1)


def test_rows():
    assert Row(GOOD, 50, 100).as_json() == {
        "name": "arm64.good",
        "unit": "instructions",
        "ours": 50,
        "xen": 100,
        "ratio": 0.5,
        "target": 0.5,
    }
    assert (Row(GOOD, 50, 100).missed, Row(GOOD, 51, 100).missed) == (False, True)
    assert not Row(FREE, 900, 100).missed
    alone = Row(ALONE, 7, None)
    assert (alone.ratio, alone.missed, alone.as_json()["xen"]) == (None, False, None)


KERNEL = {"kernel": "k 2"}
VERSIONS = KERNEL | {"xen": "x 1"}


class Set:
    """A set of figures whose hypervisors are numbers: a figure is that number, whatever the figure."""

    FIGURES = (GOOD, FREE)
    mine = 40

    @classmethod
    def ours(cls):
        return cls.mine

    @staticmethod
    def theirs():
        return 100

    @staticmethod
    def versions(with_xen):
        return VERSIONS if with_xen else KERNEL

    @staticmethod
    def measure(image, wanted):
        return dict.fromkeys(wanted, image)


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """command.main over a set without machines, with Xen's figures 100 and a recording of 200."""
    monkeypatch.setitem(command.SETS, "arm64", Set)
    monkeypatch.setattr(peer, "RECORDED", tmp_path / "recorded.json")
    peer.Recording({"xen": "x 0", "kernel": "k 1"}, {"arm64.good": 200}).write("arm64")
    return command.main


def test_a_report_is_written_and_the_exit_status_tells_of_the_targets(bench, tmp_path, monkeypatch, capsys):
    file = tmp_path / "report.json"
    assert bench(["arm64", "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    assert report["machine"] == VERSIONS
    assert [(row["name"], row["ratio"]) for row in report["rows"]] == [("arm64.good", 0.4), ("arm64.free", 0.4)]
    monkeypatch.setattr(Set, "mine", 51)
    assert bench(["arm64"]) == 1
    assert "above the target: arm64.good" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["arm64.free", "free"])
def test_one_figure_alone(bench, tmp_path, name):
    file = tmp_path / "report.json"
    assert bench(["--only", name, "--json", str(file)]) == 0
    assert [row["name"] for row in json.loads(file.read_text())["rows"]] == ["arm64.free"]


def test_an_unknown_figure_is_answered_with_the_known_ones(bench):
    with pytest.raises(Problem, match=r"--only fre: .*arm64\.good, arm64\.free"):
        bench(["--only", "fre"])


def test_recorded_figures_stand_in_and_their_age_is_told(bench, tmp_path, capsys):
    file = tmp_path / "report.json"
    assert bench(["--recorded", "--only", "good", "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    assert report["rows"][0]["ratio"] == 0.2
    assert report["machine"]["xen"] == "x 0, recorded"
    assert "recorded with k 1, this run has k 2" in capsys.readouterr().err
    with pytest.raises(Problem, match=r"no figure of Xen for arm64\.free: run \./dev bench arm64 --record"):
        bench(["--recorded"])


@pytest.mark.parametrize("more", [["--only", "good"], ["--json", "f"], ["--recorded"]])
def test_a_recording_is_of_everything(bench, more, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench(["--record", *more])
    assert "--record" in capsys.readouterr().err


def test_a_report_that_cannot_be_written(bench, tmp_path):
    with pytest.raises(Problem, match=r"report cannot be written to .*: Is a directory"):
        bench(["--json", str(tmp_path)])


def test_a_recording_replaces_that_of_its_architecture_only(bench, capsys):
    peer.Recording({"xen": "y"}, {"other.figure": 1}).write("other")
    assert bench(["--record"]) == 0
    assert peer.Recording.read("arm64") == peer.Recording(VERSIONS, {"arm64.good": 100, "arm64.free": 100})
    assert peer.Recording.read("other").figure("other.figure") == 1
    assert "arm64.free: 100 bytes" in capsys.readouterr().out
    assert bench(["--recorded"]) == 0


def test_the_table_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows.show(
        {"xen": "x 1"},
        [Row(figure, 92_399_651, 92_399_651) for figure in (*arm64.FIGURES, ALONE)] + [Row(ALONE, 7, None)],
    )
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "none" in shown
    for figure in arm64.FIGURES:
        assert f" {figure.name} " in shown and figure.meaning in shown


@pytest.mark.parametrize(("name", "figures"), [("arm64", arm64.FIGURES), ("linux", linux.FIGURES)])
def test_what_is_recorded_covers_every_figure(name, figures):
    recording = peer.Recording.read(name)
    assert set(recording.figures) == {figure.name for figure in figures}
    assert set(recording.versions) == {"emulator", "kernel", "xen"}


def test_a_figure_beside_another_than_xens_is_told_as_that(capsys, monkeypatch):
    """And is held against its target as others are."""
    monkeypatch.setenv("COLUMNS", "80")
    row = Row(linux.BARE, 1_200, 1_000)
    assert row.as_json() == {
        "name": "linux.ready",
        "unit": "instructions",
        "ours": 1_200,
        "xen": None,
        "bare": 1_000,
        "ratio": 1.2,
        "target": 1.1,
    }
    assert row.missed
    rows.show({}, [row])
    assert "(bare)" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.emulator
@pytest.mark.arm64
def test_xen_still_gives_what_was_recorded():
    """Within 2 %: the figures move a little with the versions of Debian's packages."""
    recording = peer.Recording.read("arm64")
    for figure, count in arm64.measure(peer.image("arm64"), arm64.FIGURES).items():
        assert count == pytest.approx(recording.figure(figure.name), rel=0.02), figure.name
