"""Editing a configuration: only what differs from the defaults is kept, with the file's own heading."""

import argparse
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import kconfiglib
import pytest

from devtools import menuconfig
from devtools.paths import ROOT

KCONFIG = (
    'config ONE\n\tbool "one"\n\tdefault y\n\nconfig TWO\n\tbool "two"\n\nconfig SIZE\n\tint "size"\n\tdefault 8\n'
)


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command; a function takes the person's place in the menus."""
    (tmp_path / "kconfig").mkdir()
    (tmp_path / "kconfig" / "Kconfig").write_text(KCONFIG)
    monkeypatch.setattr(menuconfig, "ROOT", tmp_path)
    monkeypatch.setenv("KCONFIG_CONFIG", "")

    def run(before: str | None, person) -> str | None:
        path = tmp_path / "kconfig" / "x_defconfig"
        if before is not None:
            path.write_text(before)
        monkeypatch.setattr("menuconfig.menuconfig", person)
        assert menuconfig.main(argparse.Namespace(config="x")) == 0
        return path.read_text() if path.exists() else None

    return run


def save(tree: kconfiglib.Kconfig, **values: str) -> None:
    for name, value in values.items():
        assert tree.syms[name].set_value(value)
    tree.write_config()


def test_differences_and_heading_are_kept(edit) -> None:
    assert edit("# of the board\n# X\n# CONFIG_ONE is not set\n", lambda tree: save(tree, SIZE="9")) == (
        "# of the board\n# X\n# CONFIG_ONE is not set\nCONFIG_SIZE=9\n"
    )
    assert edit("# of the board\nCONFIG_TWO=y\n", lambda tree: save(tree, TWO="n")) == "# of the board\n"


def test_a_new_configuration(edit) -> None:
    assert edit(None, lambda tree: save(tree, TWO="y")) == "CONFIG_TWO=y\n"


def test_leaving_without_saving_changes_nothing(edit) -> None:
    before = "CONFIG_SIZE=8\n# odd order\nCONFIG_TWO=y\n"
    assert edit(before, lambda tree: tree.syms["SIZE"].set_value("3")) == before


TERMINAL_SECONDS = 60
KEYS = [
    ("", "Jump to symbol"),  # a key, and what the screen shows then
    ("/", "narrow the search"),
    ("DEBUG_KEYS", "DEBUG_KEYS(=y)"),
    ("\n", "Toggle/enter"),
    ("n", ""),
    ("q", "Save configuration?"),
    ("y", "wrote kconfig/"),
]


def typed_in_a_terminal(name: str) -> None:
    """Runs `./dev menuconfig` in a pseudo terminal and types the keys, each when the screen shows what it should."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(ROOT / "dev", ["./dev", "menuconfig", "--config", name], {**os.environ, "TERM": "xterm"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    deadline = time.monotonic() + TERMINAL_SECONDS
    for key, text in KEYS:
        os.write(terminal, key.encode())
        shown = ""
        while text not in re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", "", shown):
            ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"after {key!r} the screen did not show {text!r}:\n{shown}"
            shown += os.read(terminal, 1 << 16).decode(errors="replace")
    with contextlib.suppress(OSError):  # a terminal that nobody writes to any more
        while os.read(terminal, 1 << 16):
            pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)


def test_in_a_terminal() -> None:
    """The real menus: an option is turned off, what is saved can be built, a mistake in it is told with its line."""
    name = "arm64_menus"
    defconfig = ROOT / "kconfig" / f"{name}_defconfig"
    try:
        typed_in_a_terminal(name)
        assert defconfig.read_text() == "# CONFIG_DEBUG_KEYS is not set\n"
        assert checked(name).returncode == 0
        defconfig.write_text("CONFIG_DEBUG_KEY=n\n")
        wrong = checked(name)
        assert wrong.returncode == 1
        assert f"{defconfig}:1: there is no CONFIG_DEBUG_KEY; is CONFIG_DEBUG_KEYS meant?" in wrong.stderr
    finally:
        defconfig.unlink(missing_ok=True)


def checked(name: str) -> subprocess.CompletedProcess[str]:
    """The front end's verdict on a configuration."""
    command = [sys.executable, "-m", "compiler", "check", "--config", str(ROOT / "kconfig" / f"{name}_defconfig")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
