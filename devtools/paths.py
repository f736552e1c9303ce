"""Where things are. Standard library only: `./dev` reads this before anything is installed."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
VENV = ROOT / ".venv"
SCENARIOS = ROOT / "qemu-tests" / "scenarios"
INITRAMFS = ROOT / "qemu-tests" / "initramfs"


def cache() -> Path:
    """The folder of what was downloaded or can be made again; CONSTRICTOR_CACHE names another than .cache."""
    return Path(os.environ.get("CONSTRICTOR_CACHE") or ROOT / ".cache").absolute()
