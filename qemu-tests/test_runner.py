"""`./dev run` on the bare emulated machine: the runner itself, its guests' files, its exit status, its keyboard."""

import contextlib
import os
import pty
import subprocess
import time
from pathlib import Path

import pytest
from console import ask_shell

from devtools.boot import Options
from devtools.paths import ROOT

pytestmark = pytest.mark.arm64

BOOT_SECONDS = 120


def dev_run(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "dev"), "run", "arm64-bare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * BOOT_SECONDS, errors="replace", **more)


def test_debian_guest_answers_and_sums(booted) -> None:
    """The guest's files make a Debian kernel with a shell that answers, and the checksum workload is right there."""
    machine = booted("arm64-bare")
    machine.expect("READY linux1", BOOT_SECONDS)
    ask_shell(machine, "linux1")
    machine.send("/workloads/checksum && echo sum is ri''ght\r")
    machine.expect("sum is right", BOOT_SECONDS)
    machine.send("echo 512 0123 > /workloads/checksum.expected; /workloads/checksum || echo sum is wro''ng\r")
    machine.expect("sum is wrong", BOOT_SECONDS)


def test_until_and_send(tmp_path: Path) -> None:
    """Every --until has to appear, --send types in order, the file has all that was printed."""
    serial = tmp_path / "serial"
    done = dev_run(
        *("--until", "first 2", "--until", "second 4", "--timeout", str(BOOT_SECONDS), "--serial", str(serial)),
        *("--send", r"READY linux1=>echo first $((1+1))\r", "--send", r"first 2=>echo second $((2+2))\r"),
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert serial.read_text(errors="replace").splitlines() == done.stdout.splitlines()
    assert "READY linux1" in done.stdout


def test_exit_status_without_the_text() -> None:
    """1 at the timeout and when the machine stops first, 2 when the machine cannot be had."""
    assert dev_run("--until", "never printed", "--timeout", "2").returncode == 1
    stopped = dev_run("--until", "never printed", "--send", r"READY=>poweroff -f\r", "--timeout", str(BOOT_SECONDS))
    assert stopped.returncode == 1
    assert "before the machine stopped" in stopped.stderr
    assert dev_run("--until", "never printed", "--cpu", "cortex-none").returncode == 2


def test_counted_time_repeats_itself(booted) -> None:
    """With --icount two runs of one scenario print the same, byte for byte."""
    runs = []
    for _ in range(2):
        machine = booted("arm64-bare", Options(icount=True, seed=3))
        machine.expect("READY linux1", BOOT_SECONDS)
        runs.append(machine.output.partition("READY linux1")[0])
        machine.stop()
    assert runs[0] == runs[1]


def test_keyboard_of_a_person() -> None:
    """On a terminal every key goes to the machine, and Ctrl-] leaves and stops it."""
    ours, theirs = pty.openpty()
    command = [str(ROOT / "dev"), "run", "arm64-bare"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        try:
            screen = Screen(ours)
            screen.shows(b"Ctrl-]")
            screen.shows(b"READY linux1")
            screen.shows(b"linux1# ")
            os.write(ours, b"echo asleep; sleep 1000\r")
            screen.shows(b"\nasleep")
            os.write(ours, b"\x03")
            screen.shows(b"linux1# ")
            os.write(ours, b"echo $((6 * 7)) after an interrupt\r")
            screen.shows(b"42 after an interrupt")
            os.write(ours, b"\x1d")
            screen.shows(b"stopped it")
            assert process.wait(BOOT_SECONDS) == 0
        finally:
            process.kill()
    os.close(ours)


class Screen:
    """What a terminal shows, read forward."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.unread = b""

    def shows(self, wanted: bytes) -> None:
        """Waits until `wanted` is shown behind what was waited for before."""
        deadline = time.monotonic() + BOOT_SECONDS
        while wanted not in self.unread:
            assert time.monotonic() < deadline, f"{wanted!r} is not in {self.unread[-2000:]!r}"
            with contextlib.suppress(BlockingIOError):
                self.unread += os.read(self.descriptor, 1 << 16)
            time.sleep(0.05)
        self.unread = self.unread.partition(wanted)[2]
