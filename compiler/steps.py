"""Commands that make one file each, run at once on all CPUs, and again only when what they read has changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """`command` writes `made` and reads `inputs`. What it was made from is remembered in a file beside it."""

    command: Sequence[object]
    made: Path
    inputs: Sequence[Path]

    @property
    def stamp(self) -> Path:
        return self.made.with_suffix(".stamp")

    def digest(self) -> str:
        sum_ = hashlib.sha256(repr([str(word) for word in self.command]).encode())
        for path in self.inputs:
            sum_.update(path.read_bytes())
        return sum_.hexdigest()

    def run(self) -> str:
        """What the command says when it fails; empty when `made` is up to date."""
        digest = self.digest()
        if self.made.exists() and self.stamp.exists() and self.stamp.read_text() == digest:
            return ""
        self.stamp.unlink(missing_ok=True)  # `made` is of no known inputs while the command runs, or when it fails
        command = [str(word) for word in self.command]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        self.stamp.write_text(digest)
        return ""


def bring_up_to_date(steps: Iterable[Step], jobs: int | None = None) -> None:
    """Runs each step that has to be. Raises RuntimeError with the words of those that fail."""
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        problems = [said for said in pool.map(Step.run, steps) if said]
    if problems:
        raise RuntimeError("\n".join(problems[:3]))
