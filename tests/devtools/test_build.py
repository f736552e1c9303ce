"""Building: where things go, what is shown, and what is said when it fails. A small project stands in for ours."""

import shutil
from pathlib import Path

import pytest

from devtools import build
from devtools.report import Problem

MESON = """\
project('small')
target = get_option('target')
custom_target('product',
  output: target == 'host' ? 'libhv.so' : 'hv.image',
  input: 'source',
  command: [find_program('sh'), '-c', 'echo compiling; test -s "$1" && cp "$1" "$2"', 'sh', '@INPUT@', '@OUTPUT@'],
  build_by_default: true)
"""
OPTIONS = "option('config', type: 'string')\noption('target', type: 'string')\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kconfig").mkdir()
    (tmp_path / "kconfig" / "arm64_virt_defconfig").touch()
    (tmp_path / "kconfig" / "tiny_defconfig").touch()
    (tmp_path / "meson.build").write_text(MESON)
    (tmp_path / "meson.options").write_text(OPTIONS)
    (tmp_path / "source").write_text("contents")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILD", tmp_path / "build")
    return tmp_path


def test_a_build_is_quiet_when_there_is_nothing_to_do(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = build.build()
    assert image == project / "build" / "arm64_virt" / "hv.image"
    assert image.read_text() == "contents"
    assert "setting up build/arm64_virt" in capfd.readouterr().err
    build.build()
    assert capfd.readouterr() == ("", "")
    (project / "source").write_text("other")
    assert build.build().read_text() == "other"
    assert "compiling" in capfd.readouterr().err


def test_folders_of_configurations_and_targets(project: Path) -> None:
    assert build.build("tiny") == project / "build" / "tiny" / "hv.image"
    assert build.build(target="host") == project / "build" / "host" / "libhv.so"
    assert build.build("tiny", "host") == project / "build" / "host-tiny" / "libhv.so"


def test_failures_say_what_failed(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Problem, match=r"no kconfig/big_defconfig; the configurations are: arm64_virt, tiny"):
        build.build("big")
    (project / "source").write_text("")
    with pytest.raises(Problem, match=r"the build in build/arm64_virt failed") as problem:
        build.build()
    assert problem.value.exit_status == 1
    assert "compiling" in capfd.readouterr().err
    (project / "meson.build").write_text("project('small')\nnonsense(\n")
    shutil.rmtree(project / "build")
    with pytest.raises(Problem, match=r"(?s)could not set up .*meson.build:2"):
        build.build()
