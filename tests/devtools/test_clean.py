"""Cleaning removes what ./dev made, and with --all what it fetched; nothing else."""

import argparse
from pathlib import Path

import pytest

from devtools import clean


@pytest.mark.parametrize(("everything", "left"), [(False, {".cache", ".venv", "hv"}), (True, {"hv"})])
def test_clean(everything: bool, left: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("build", ".cache", ".venv", ".mypy_cache", "hv"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    monkeypatch.setattr(clean, "ROOT", tmp_path)
    monkeypatch.setattr(clean, "BUILD", tmp_path / "build")
    monkeypatch.setattr(clean, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(clean, "cache", lambda: tmp_path / ".cache")
    assert clean.main(argparse.Namespace(all=everything)) == 0
    assert {path.name for path in tmp_path.iterdir()} == left
