"""`python -m tools.partition`: output formats and exit statuses."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.partition import read_domains
from tools.partition.__main__ import main

ROOT = Path(__file__).resolve().parents[2]

TEXT = '[[domain]]\nname = "a"\nmemory = "16M"\ncpus = 1\nkernel = "Image"\nramdisk = "more/initrd, 2"\n'


@pytest.fixture
def workplace(files: Path, tree: Callable[..., bytes], tmp_path: Path) -> Path:
    """A directory with a partition file, its kernel and ramdisk, and a base tree."""
    (tmp_path / "more").mkdir()
    (tmp_path / "Image").write_bytes((files / "Image").read_bytes())
    (tmp_path / "more" / "initrd, 2").write_bytes(b"070701")
    (tmp_path / "base.dtb").write_bytes(tree())
    (tmp_path / "machine.toml").write_text(TEXT)
    return tmp_path


def run(workplace: Path, *more: str) -> int:
    base, out = workplace / "base.dtb", workplace / "out.dtb"
    return main(["build", str(workplace / "machine.toml"), "--base", str(base), "-o", str(out), *more])


def test_as_a_program(workplace: Path) -> None:
    words = [sys.executable, "-m", "tools.partition", "build", str(workplace / "machine.toml")]
    words += ["--base", str(workplace / "base.dtb"), "-o", str(workplace / "out.dtb")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"0x0050000000       4096 {workplace}/Image",
        f"0x0050200000          6 {workplace}/more/initrd, 2",
    ]
    assert [domain.name for domain in read_domains((workplace / "out.dtb").read_bytes())] == ["a"]


def test_qemu_arguments(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(workplace, "--format", "qemu") == 0
    assert shlex.split(capsys.readouterr().out) == [
        "-dtb",
        f"{workplace}/out.dtb",
        "-device",
        f"loader,file={workplace}/Image,addr=0x50000000,force-raw=on",
        "-device",
        f"loader,file={workplace}/more/initrd,, 2,addr=0x50200000,force-raw=on",
    ]


def test_json(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(workplace, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "dtb": f"{workplace}/out.dtb",
        "loads": [
            {"address": 0x5000_0000, "path": f"{workplace}/Image", "size": 4096},
            {"address": 0x5020_0000, "path": f"{workplace}/more/initrd, 2", "size": 6},
        ],
    }


def test_files_may_lie_elsewhere(workplace: Path) -> None:
    (workplace / "sub").mkdir()
    (workplace / "machine.toml").rename(workplace / "sub" / "machine.toml")
    words = [
        "build",
        str(workplace / "sub/machine.toml"),
        "--base",
        str(workplace / "base.dtb"),
        "-o",
        str(workplace / "out"),
    ]
    assert main(words) == 1
    assert main([*words, "--files", str(workplace)]) == 0


def test_mistakes_go_to_stderr_and_nothing_is_written(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "machine.toml").write_text(TEXT.replace("cpus = 1", "cpus = 0").replace("Image", "Imag"))
    assert run(workplace) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{workplace}/machine.toml:4: cpus: a domain cannot have 0 vcpus; write a number from 1 to 128\n"
    assert not (workplace / "out.dtb").exists()


@pytest.mark.parametrize("arguments", [[], ["-o", "x"], ["--base", "none.dtb", "-o", "x"], ["--format", "word"]])
def test_unusable_command(workplace: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["build", str(workplace / "machine.toml"), *arguments])
    assert caught.value.code == 2
    assert "usage: python -m tools.partition" in capsys.readouterr().err


def test_output_that_cannot_be_written(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["build", str(workplace / "machine.toml"), "--base", str(workplace / "base.dtb"), "-o", str(workplace)])
    assert caught.value.code == 2
    assert "Is a directory" in capsys.readouterr().err


def test_check_says_what_is_right_and_what_is_not(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = workplace / "machine.toml"
    assert main(["check", str(file)]) == 0
    assert "right in itself; with --base TREE" in capsys.readouterr().out
    assert main(["check", str(file), "--base", str(workplace / "base.dtb")]) == 0
    assert capsys.readouterr().out == f"{file}: right\n"
    file.write_text(TEXT + 'affinity = "9"\n')
    assert main(["check", str(file), "--base", str(workplace / "base.dtb")]) == 1
    assert "the machine has no CPU 9" in capsys.readouterr().err


def test_the_file_may_name_the_tree(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = workplace / "machine.toml"
    file.write_text('[board]\ntree = "base.dtb"\n' + TEXT)
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: right\n"


def test_show_draws_without_files_and_without_a_machine(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture = workplace / "machine.toml", workplace / "map.svg"
    assert main(["show", str(file)]) == 0
    assert "machine.toml:1" in capsys.readouterr().out
    file.write_text(TEXT.replace("Image", "gone"))
    assert main(["show", str(file), "--base", str(workplace / "base.dtb"), "-o", str(picture)]) == 0
    out, err = capsys.readouterr()
    assert '"gone" cannot be read' in err and "drawn without files" in err
    assert "the hypervisor's image" in out
    assert picture.read_text().startswith("<svg ")
