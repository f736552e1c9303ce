"""Files of Debian packages of any architecture, without touching the machine's own package state.

apt runs over a root of its own in the cache: its lists, its downloads, an empty list of installed packages, the
sources and keys of the machine, and of the machine's configuration only how to reach a server (Acquire::*). An
unpacked package is complete when its folder exists, and then nothing is fetched for it again.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from devtools import aptsources
from devtools.paths import cache
from devtools.report import Problem, locked, progress

ETC = Path("/etc/apt")
DEPENDENCY = re.compile(r"^\s+\|?Depends: (?P<name>[a-z0-9][a-z0-9.+-]+)", re.MULTILINE)


def unpacked(package: str, architecture: str, behind: str | None = None) -> Path:
    """The folder of an unpacked package, fetched when it is not in the cache.

    `behind` is the start of a name: the package meant is then the one that `package` depends on and whose name
    starts so (linux-image-cloud-arm64 is empty and depends on the kernel of the day).
    """
    place = cache() / "debian" / architecture / package
    if place.exists():
        return place
    with locked(cache() / "debian" / ".lock"):
        if not place.exists():
            _fetch(package, architecture, behind, place)
    return place


def _fetch(package: str, architecture: str, behind: str | None, place: Path) -> None:
    root = AptRoot(cache() / "apt" / architecture, architecture)
    root.prepare()
    work = place.with_name(f".{package}.partial")
    shutil.rmtree(work, ignore_errors=True)
    (work / "files").mkdir(parents=True)
    for fresh in (False, True):  # lists that are old name versions that the servers no longer have
        try:
            root.update(even_if_there=fresh)
            name = root.dependency(package, behind) if behind else package
            progress(f"downloading {name} for {architecture}")
            root.run(["apt-get", "--quiet", "download", name], work)
            break
        except Problem:
            if fresh:
                raise
    (archive,) = work.glob("*.deb")
    root.run(["dpkg-deb", "--extract", str(archive), str(work / "files")], work)
    (work / "files" / "PACKAGE").write_text(archive.name + "\n")
    archive.unlink()
    (work / "files").rename(place)
    work.rmdir()


class AptRoot:
    """apt with its state, cache and configuration in one folder, for one architecture."""

    def __init__(self, root: Path, architecture: str) -> None:
        self.root = root
        self.architecture = architecture
        self.configuration = root / "apt.conf"

    def prepare(self) -> None:
        """Writes the configuration and the sources. Cheap, so done before every use: the machine's may have changed."""
        for folder in ("state/lists/partial", "cache/archives/partial", "sources.list.d"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "state" / "status").write_text("")
        codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
        sources = self.root / "sources.list.d"
        for old in sources.iterdir():
            old.unlink()
        count = 0
        for path in [ETC / "sources.list", *sorted((ETC / "sources.list.d").glob("*"))]:
            if not path.is_file():
                continue
            rewrite = aptsources.paragraph_sources if path.suffix == ".sources" else aptsources.one_line_sources
            text = rewrite(path.read_text(), codename)
            suffix = ".sources" if path.suffix == ".sources" else ".list"
            if text:
                (sources / f"{count}{suffix}").write_text(text)
                count += 1
        if count == 0:
            raise Problem(
                f"guests are made from Debian's packages, but no source in {ETC}/sources.list or {ETC}/sources.list.d"
                f" serves {codename or 'a Debian release'}: add one such as"
                f" 'deb http://deb.debian.org/debian {codename or 'bookworm'} main'"
            )
        self.configuration.write_text(self._settings())

    def _settings(self) -> str:
        """Hooks and pins of the machine stay out: they may touch its own state. How to reach a server stays in."""
        root = self.root
        settings = {
            "Dir::State": root / "state",
            "Dir::State::status": root / "state" / "status",
            "Dir::Cache": root / "cache",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": root / "sources.list.d",
            "Dir::Log": root / "log",
            "APT::Architecture": self.architecture,
            "APT::Sandbox::User": "root",
            "APT::Get::List-Cleanup": "true",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
        lines = [line for line in dump.splitlines() if re.match(r"Acquire::(?!Languages|Retries)", line)]
        lines += [f'{name} "{value}";' for name, value in settings.items()]
        return (
            "\n".join([*lines, "#clear APT::Architectures;", f'APT::Architectures {{ "{self.architecture}"; }};'])
            + "\n"
        )

    def update(self, even_if_there: bool) -> None:
        """Fetches the lists when there are none or when they have to be new. One dead source of many is no failure."""
        lists = self.root / "state" / "lists"
        if not even_if_there and any(lists.glob("*_Packages*")):
            return
        progress(f"fetching Debian's list of packages for {self.architecture}")
        try:
            self.run(["apt-get", "--quiet", "update"], self.root)
        except Problem:
            if not any(lists.glob("*_Packages*")):
                raise

    def dependency(self, package: str, start: str) -> str:
        """The dependency of `package` whose name starts so."""
        answer = self.run(["apt-cache", "depends", package], self.root)
        names = [match["name"] for match in DEPENDENCY.finditer(answer) if match["name"].startswith(start)]
        if not names:
            raise Problem(f"Debian's {package} for {self.architecture} depends on nothing that starts with {start!r}")
        return names[0]

    def run(self, command: Sequence[str], folder: Path) -> str:
        """Runs a program of apt or dpkg in a folder, over this root, and returns what it printed."""
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "APT_CONFIG": str(self.configuration), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise Problem(f"{' '.join(command)} failed:\n{done.stdout}")
        return done.stdout
