"""Guests' files: apt's sources for another architecture, the initramfs archive, names in scenarios."""

import hashlib
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools import aptsources, cpio, debian, guests, initramfs
from devtools.paths import INITRAMFS
from devtools.report import Problem

LINES = """\
# deb http://example.org/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://deb.debian.org/debian bookworm main contrib
deb [arch=amd64] http://deb.debian.org/debian bookworm-updates main
deb-src http://deb.debian.org/debian bookworm main
deb http://security.debian.org bookworm/updates main
deb http://deb.debian.org/debian trixie main
deb https://packages.example.com/apt tool-bookworm main
"""

PARAGRAPHS = """\
# a comment
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Architectures: amd64
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJKw

Types: deb
URIs: https://deb.example.com
Suites: nodistro

Enabled: no
Types: deb
URIs: http://old.example.org/debian
Suites: bookworm

Types: deb-src
URIs: http://src.example.org/debian
Suites: bookworm
"""


def test_one_line_sources_keep_the_release_and_lose_the_architecture() -> None:
    assert aptsources.one_line_sources(LINES, "bookworm").splitlines() == [
        "deb [signed-by=/k.gpg] http://deb.debian.org/debian bookworm main contrib",
        "deb http://deb.debian.org/debian bookworm-updates main",
        "deb http://security.debian.org bookworm/updates main",
    ]


def test_paragraph_sources_keep_the_release_and_lose_the_architecture() -> None:
    assert aptsources.paragraph_sources(PARAGRAPHS, "bookworm").splitlines() == [
        "Types: deb",
        "Suites: bookworm bookworm-updates",
        "URIs: http://deb.debian.org/debian",
        "Components: main",
        "Signed-By:",
        " -----BEGIN PGP PUBLIC KEY BLOCK-----",
        " .",
        " mDMEY865UxYJKw",
    ]


def test_backports_come_from_the_servers_of_the_release_alone() -> None:
    """Asked for by the machine or not; its updates, its security fixes and other releases are elsewhere."""
    lines = LINES + "deb http://deb.debian.org/debian bookworm-backports main\n"
    assert aptsources.one_line_sources(lines, "bookworm", backports=True).splitlines() == [
        "deb [signed-by=/k.gpg] http://deb.debian.org/debian bookworm-backports main contrib",
    ]
    paragraphs = PARAGRAPHS + "\nTypes: deb\nURIs: http://security.debian.org\nSuites: bookworm-security\n"
    said = aptsources.paragraph_sources(paragraphs, "bookworm", backports=True)
    assert said.startswith(
        "Types: deb\nSuites: bookworm-backports\nURIs: http://deb.debian.org/debian\nComponents: main"
    )
    assert said.count("Suites:") == said.count("Types:") == 1


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    etc = tmp_path / "etc"
    (etc / "sources.list.d").mkdir(parents=True)
    monkeypatch.setattr(debian, "ETC", etc)
    monkeypatch.setattr(debian.platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})
    return etc


def test_apt_works_in_a_root_of_its_own(etc: Path, tmp_path: Path) -> None:
    (etc / "sources.list").write_text(LINES)
    (etc / "sources.list.d" / "debian.sources").write_text(PARAGRAPHS)
    root = debian.AptRoot(tmp_path / "root", "arm64")
    root.prepare()
    root.prepare()
    assert sorted(path.suffix for path in (root.root / "sources.list.d").iterdir()) == [".list", ".sources"]
    said = root.run(["apt-config", "dump"], tmp_path)
    for name in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourceparts"):
        assert f'{name} "{root.root}' in said
    assert 'APT::Architecture "arm64";' in said
    assert 'APT::Architectures:: "arm64";' in said
    assert "amd64" not in said
    assert "Post-Invoke" not in said, "a hook of the machine would run on the machine's own state"


def test_a_machine_without_debian_sources_is_told_so(etc: Path, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"add one such as 'deb http://deb.debian.org/debian bookworm main'"):
        debian.AptRoot(tmp_path / "root", "arm64").prepare()


def test_what_is_cached_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONSTRICTOR_CACHE", str(tmp_path))
    monkeypatch.setattr(debian.subprocess, "run", lambda *_, **__: pytest.fail("ran something"))
    place = tmp_path / "debian" / "arm64" / "some-package"
    place.mkdir(parents=True)
    assert debian.unpacked("some-package", "arm64") == place


@pytest.fixture
def server(etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a folder for Debian's servers: a package is a file there, its version the contents."""
    (etc / "sources.list").write_text(LINES)
    monkeypatch.setenv("CONSTRICTOR_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "server"
    folder.mkdir()

    def run(command: list[str], work: Path, environment: Mapping[str, str]) -> str:
        match command:
            case ["dpkg", "--print-architecture"]:
                return "amd64\n"
            case ["apt-get", "--quiet", "update"]:
                root = Path(environment["APT_CONFIG"]).parent
                (root / "state" / "lists" / "server_Packages").touch()
            case ["apt-get", "--quiet", "download", *names]:
                for name in names:
                    if not (folder / name).exists():
                        raise Problem(f"E: Unable to locate package {name}")
                    version = (folder / name).read_text()
                    (work / f"{name}_{version}_amd64.deb").write_text(version)
            case ["dpkg-deb", "--extract", archive, files]:
                (Path(files) / "usr").mkdir(exist_ok=True)
                (Path(files) / "usr" / Path(archive).name.partition("_")[0]).touch()
        return ""

    monkeypatch.setattr(debian, "_output", run)
    return folder


def test_backported_packages_share_a_folder_that_names_their_versions(server: Path, tmp_path: Path) -> None:
    """And come from lists of their own, since the release has the same names with older versions."""
    for name in ("program", "data"):
        (server / name).write_text("2.0")
    place = debian.backported("tool", ("program", "data"))
    assert place == tmp_path / "cache" / "debian" / "amd64-backports" / "tool"
    assert sorted(path.name for path in (place / "usr").iterdir()) == ["data", "program"]
    assert (place / "PACKAGE").read_text() == "data_2.0_amd64.deb\nprogram_2.0_amd64.deb\n"
    assert list(place.parent.iterdir()) == [place], "nothing half done is left"
    (sources,) = (tmp_path / "cache" / "apt" / "amd64-backports" / "sources.list.d").iterdir()
    assert " bookworm-backports " in sources.read_text() and " bookworm " not in sources.read_text()
    (server / "program").unlink()
    assert debian.backported("tool", ("program", "data")) == place


def test_what_cannot_be_fetched_leaves_nothing_and_says_what_to_do(server: Path, tmp_path: Path) -> None:
    (server / "program").write_text("2.0")
    with pytest.raises(Problem, match=r"tool could not be had .* Is the network there\?(?s:.*)locate package data"):
        debian.backported("tool", ("program", "data"))
    assert not (tmp_path / "cache" / "debian" / "amd64-backports" / "tool").exists()
    (server / "program").write_text("2.1")
    (server / "data").write_text("2.1")
    place = debian.backported("tool", ("program", "data"))
    assert (place / "PACKAGE").read_text() == "data_2.1_amd64.deb\nprogram_2.1_amd64.deb\n", (
        "and of the first try nothing"
    )


def test_an_archive_of_one_file_is_these_bytes() -> None:
    """By hand from buffer-format.rst: magic, 13 fields, name with zero, contents, each part padded to four bytes."""
    inode, mode, nlink, size, namesize = "00000001", "000081ED", "00000001", "00000005", "00000002"
    zero = "00000000"
    entry = f"070701{inode}{mode}{zero}{zero}{nlink}{zero}{size}{zero}{zero}{zero}{zero}{namesize}{zero}a\0hello\0\0\0"
    end = f"070701{zero}{zero}{zero}{zero}00000001{zero}{zero}{zero}{zero}{zero}{zero}0000000B{zero}TRAILER!!!\0"
    end += "\0" * (-len(end) % 4)
    assert cpio.archive([cpio.file("a", b"hello", executable=True)]) == (entry + end).encode()


names = st.text("abc/._-", min_size=1, max_size=20)
entries = st.lists(st.tuples(names, st.binary(max_size=40), st.booleans()), max_size=6)


@given(entries)
def test_an_archive_reads_back(files: list[tuple[str, bytes, bool]]) -> None:
    archive = cpio.archive([cpio.file(*each) for each in files] + [cpio.character_device("dev/x", 5, 1)])
    assert len(archive) % 4 == 0
    found = list(_read(archive))
    assert [(name, contents) for name, _, _, contents in found[:-1]] == [
        (name, contents) for name, contents, _ in files
    ]
    assert [bool(mode & 0o100) for _, mode, _, _ in found[:-1]] == [executable for _, _, executable in files]
    name, mode, device, _ = found[-1]
    assert (name, stat.S_ISCHR(mode), device) == ("dev/x", True, (5, 1))


def _read(archive: bytes):
    place = 0
    while True:
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * i : place + 14 + 8 * i], 16) for i in range(13)]
        name_end = place + 110 + fields[11]
        name = archive[place + 110 : name_end - 1].decode()
        start = -(-name_end // 4) * 4
        end = start + fields[6]
        if name == "TRAILER!!!":
            return
        yield name, fields[1], (fields[9], fields[10]), archive[start:end]
        place = -(-end // 4) * 4


def test_the_workloads_sum_is_that_of_the_data_it_makes(tmp_path: Path) -> None:
    """The shell's loop, run here over a small block, makes the data that the builder of the archive summed."""
    block = b"not much\n" * 100
    (tmp_path / "block").write_bytes(block)
    loop = (INITRAMFS / "workloads" / "checksum").read_text()
    loop = loop[loop.index("number=0") : loop.index("sum=")]
    loop = loop.replace("/workloads/checksum.block", "block").replace("/tmp/checksum/data", "data")
    subprocess.run(["sh", "-ec", f"blocks=7\n{loop}"], cwd=tmp_path, check=True)
    assert hashlib.sha256((tmp_path / "data").read_bytes()).hexdigest() == initramfs.checksum_expected(block, 7)


def test_processes_sum_their_parts_and_tell_of_a_wrong_sum(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The script that sums in parts, run here on a small block: silent with the sums that the builder computed."""
    block = b"not much\n" * 100
    monkeypatch.setattr(initramfs, "BLOCK_BYTES", 64 << 10)
    (tmp_path / "checksum.block").write_bytes(block)
    expected = list(initramfs.checksums_expected(block))
    assert len({line.split()[3] for line in expected}) == len(initramfs.PARTED) * initramfs.PARTS
    script = (INITRAMFS / "workloads" / "checksums").read_text()
    script = script.replace("/workloads/", f"{tmp_path}/").replace("/tmp/checksums", f"{tmp_path}/data")
    script = "mount() { :; }\numount() { :; }\n" + script

    def run(mib: int) -> tuple[int, str]:
        done = subprocess.run(["sh", "-c", script], env={"PATH": "/usr/bin:/bin", "mib": str(mib)}, capture_output=True)
        return done.returncode, done.stdout.decode()

    (tmp_path / "checksums.expected").write_text("".join(expected))
    assert run(64) == (0, "")
    assert run(65) == (1, "no sums are known for mib=65\n")
    known = [line for line in expected if line.startswith("64 ")]
    size, first, blocks, sum = known[2].split()
    (tmp_path / "checksums.expected").write_text("".join(known[:2]) + f"{size} {first} {blocks} {'0' * 64}\n")
    assert run(64) == (1, f"sum {sum} from block {first} on is not {'0' * 64}\n")


def test_the_archive_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONSTRICTOR_CACHE", str(tmp_path))
    monkeypatch.setattr(initramfs, "BLOCKS", 2)
    monkeypatch.setattr(initramfs, "PARTED", (1,))
    program = tmp_path / "debian" / "arm64" / "busybox-static" / "bin" / "busybox"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"one")
    first = initramfs.busybox("arm64")
    assert {"init", "bin/busybox", "workloads/checksum"} <= {name for name, *_ in _read(first.read_bytes())}
    monkeypatch.setattr(initramfs, "entries", lambda _: pytest.fail("built again"))
    assert initramfs.busybox("arm64") == first
    monkeypatch.undo()
    monkeypatch.setenv("CONSTRICTOR_CACHE", str(tmp_path))
    program.write_bytes(b"two")
    assert initramfs.busybox("arm64") != first


def test_the_archive_with_the_network_has_the_kernels_modules_behind_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wherever in the kernel's folder they lie, in the order in which they are loaded; one that is not there is told
    of. Another kernel makes another archive.
    """
    monkeypatch.setenv("CONSTRICTOR_CACHE", str(tmp_path))
    monkeypatch.setattr(initramfs, "entries", lambda _: [cpio.folder("bin")])
    (tmp_path / "debian" / "arm64" / "busybox-static" / "bin").mkdir(parents=True)
    (tmp_path / "debian" / "arm64" / "busybox-static" / "bin" / "busybox").write_bytes(b"busybox")
    drivers = tmp_path / "kernel" / "lib" / "modules" / "6.1" / "kernel" / "drivers"
    for name in initramfs.NETWORK:
        (drivers / name).mkdir(parents=True)
        (drivers / name / f"{name}.ko").write_bytes(name.encode())
    place = initramfs.network("arm64", tmp_path / "kernel")
    plain = initramfs.busybox("arm64").read_bytes()
    assert place.read_bytes().startswith(plain) and len(plain) % 4 == 0
    read = {name: contents for name, _, _, contents in _read(place.read_bytes()[len(plain) :])}
    order = read["modules/order"].decode().split()
    assert order.index("virtio_ring") < order.index("virtio") < order.index("virtio_net")
    assert all(read[f"modules/{name}.ko"] == name.encode() for name in order)
    assert {"workloads/network", "workloads/fetch", "workloads/aim"} <= set(read)
    (drivers / "virtio" / "virtio.ko").write_bytes(b"newer")
    assert initramfs.network("arm64", tmp_path / "kernel") != place
    (drivers / "virtio" / "virtio.ko").unlink()
    with pytest.raises(Problem, match=r"has no module virtio\.ko"):
        initramfs.network("arm64", tmp_path / "kernel")


def test_names_in_scenarios(tmp_path: Path) -> None:
    unikernels = tmp_path / "guests"
    unikernels.mkdir()
    (unikernels / "hello.image").touch()
    (tmp_path / "Image").touch()
    resolve = guests.resolver("arm64", tmp_path, unikernels)
    assert resolve("guest:hello") == unikernels / "hello.image"
    assert resolve("Image") == tmp_path / "Image"
    with pytest.raises(Problem, match=r"no unikernel 'helo'.*: hello"):
        resolve("guest:helo")
    with pytest.raises(Problem, match=r"write debian, busybox, network, guest:NAME, or a path relative to"):
        resolve("Imgae")
