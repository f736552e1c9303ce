"""Files of Debian packages of any architecture, without touching the machine's own package state.

apt runs over a root of its own in the cache: its lists, its downloads, an empty list of installed packages, the
sources and keys of the machine, and of the machine's configuration only how to reach a server (Acquire::*). An
unpacked package is complete when its folder exists, and then nothing is fetched for it again; the file PACKAGE in it
names what it was unpacked from, with the version.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

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

    def names(root: AptRoot) -> Sequence[str]:
        return [root.dependency(package, behind) if behind else package]

    return _kept(cache() / "debian" / architecture / package, AptRoot.of_release(architecture), names)


def device_trees() -> Path:
    """The folder of the device trees of Debian's arm64 kernel, in a folder for each maker of chips."""
    package = "linux-image-arm64"

    def names(root: AptRoot) -> Sequence[str]:
        return [root.dependency(package, "linux-image-")]

    place = cache() / "debian" / "arm64" / "device-trees"
    _kept(place, AptRoot.of_release("arm64"), names, kept="usr")  # without kernel and modules: 300 MB
    (folder,) = (place / "usr" / "lib").glob("linux-image-*")
    return folder


def backported(name: str, packages: Sequence[str]) -> Path:
    """The folder, called `name`, that packages of the release's backports for this machine's own architecture share."""
    architecture = own_architecture()
    place = cache() / "debian" / f"{architecture}-backports" / name
    return _kept(place, AptRoot.of_backports(architecture), lambda _: packages)


def own_architecture() -> str:
    """What Debian calls the architecture of the machine that this runs on."""
    return _output(["dpkg", "--print-architecture"], Path.cwd(), os.environ).strip()


def _kept(place: Path, root: "AptRoot", names: Callable[["AptRoot"], Sequence[str]], kept: str | None = None) -> Path:
    """`kept`: the only folder of the packages that is."""
    if place.exists():
        return place
    with locked(cache() / "debian" / ".lock"):
        if not place.exists():
            _fetch(place, root, names, kept)
    return place


def _fetch(place: Path, root: "AptRoot", names: Callable[["AptRoot"], Sequence[str]], kept: str | None) -> None:
    root.prepare()
    work = place.with_name(f".{place.name}.partial")
    for fresh in (False, True):  # lists that are old name versions that the servers no longer have
        shutil.rmtree(work, ignore_errors=True)
        (work / "files").mkdir(parents=True)
        try:
            root.update(even_if_there=fresh)
            packages = names(root)
            progress(f"downloading {' '.join(packages)} for {root.architecture}")
            root.run(["apt-get", "--quiet", "download", *packages], work)
            break
        except Problem as problem:
            if fresh:
                raise Problem(
                    f"{place.name} could not be had from Debian's servers. Is the network there? Try again when it is;"
                    f" what was downloaded before is kept in {cache()}.\n{problem}"
                ) from None
    archives = sorted(work.glob("*.deb"))
    for archive in archives:
        root.run(["dpkg-deb", "--extract", str(archive), str(work / "files")], work)
        archive.unlink()
    for folder in (work / "files").iterdir():
        if kept is not None and folder.name != kept:
            shutil.rmtree(folder)
    (work / "files" / "PACKAGE").write_text("".join(f"{archive.name}\n" for archive in archives))
    (work / "files").rename(place)
    work.rmdir()


class AptRoot:
    """apt with its state, cache and configuration in one folder, for one architecture.

    It knows the machine's release, or only what was backported to it: so the newest of a package is the one meant.
    """

    def __init__(self, root: Path, architecture: str, backports: bool = False) -> None:
        self.root = root
        self.architecture = architecture
        self.backports = backports
        self.configuration = root / "apt.conf"

    @classmethod
    def of_release(cls, architecture: str) -> Self:
        return cls(cache() / "apt" / architecture, architecture)

    @classmethod
    def of_backports(cls, architecture: str) -> Self:
        return cls(cache() / "apt" / f"{architecture}-backports", architecture, backports=True)

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
            text = rewrite(path.read_text(), codename, self.backports)
            suffix = ".sources" if path.suffix == ".sources" else ".list"
            if text:
                (sources / f"{count}{suffix}").write_text(text)
                count += 1
        if count == 0:
            raise Problem(
                f"Debian's packages are needed, but no source in {ETC}/sources.list or {ETC}/sources.list.d"
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
        progress(f"fetching Debian's list of {'backported ' * self.backports}packages for {self.architecture}")
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
        return _output(command, folder, {**os.environ, "APT_CONFIG": str(self.configuration), "LC_ALL": "C.UTF-8"})


def _output(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Problem(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout
