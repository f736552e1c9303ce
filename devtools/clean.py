"""`./dev clean`: removes what ./dev made. Standard library only, since it must not first make what it removes."""

import argparse
import shutil

from devtools.paths import BUILD, ROOT, VENV, cache
from devtools.report import progress

TOOL_CACHES = (".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache")


def main(arguments: argparse.Namespace) -> int:
    folders = [BUILD, *(ROOT / name for name in TOOL_CACHES)]
    if arguments.all:
        folders += [cache(), VENV]
    for folder in folders:
        if folder.exists():
            progress(f"removing {folder}")
            shutil.rmtree(folder)
    return 0
