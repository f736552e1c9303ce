"""Every mistake that a partition file can hold is reported at its line, with what to write instead.

In the texts here `#!` ends each line that has to be reported.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.partition import Compiled, PartitionError, load

MIB = 1 << 20
GIB = 1 << 30

RIGHT = {"name": '"a"', "memory": '"256M"', "cpus": "2", "kernel": '"Image"'}

Compile = Callable[..., Compiled]


@pytest.fixture
def compiled(write: Callable[[str], Path], files: Path, tree: Callable[..., bytes]) -> Compile:
    def compile_text(text: str, **machine: object) -> Compiled:
        return load(write(text)).compile(tree(**machine), lambda name: files / name)

    return compile_text


def domain(**changes: str | None) -> str:
    """A right domain with some of its keys changed (then marked as reported), added, or left out."""
    keys = RIGHT | changes
    lines = [f"{key} = {value}{' #!' if key in changes else ''}" for key, value in keys.items() if value is not None]
    return "\n".join([f"[[domain]]{' #!' if None in changes.values() else ''}", *lines, ""])


def reported(compile_text: Compile, text: str, **machine: object) -> list[str]:
    """The mistakes found in a text, without their FILE:LINE, which is checked against the marks."""
    with pytest.raises(PartitionError) as caught:
        compile_text(text, **machine)
    marked = [number for number, line in enumerate(text.split("\n"), 1) if line.rstrip().endswith("#!")]
    heads, messages = zip(*(line.split(": ", 1) for line in str(caught.value).splitlines()), strict=True)
    path = caught.value.path
    assert path.name == "machine.toml"
    assert list(heads) == [f"{path}:{number}" for number in marked], caught.value
    assert all("; " in message for message in messages)
    return list(messages)


VALUES = [
    ("name", "5", "name: 5 is not text", 'write name = "linux1"'),
    ("name", '""', 'name: "" is not a domain name', "1 to 15"),
    ("name", '"Linux 1"', 'name: "Linux 1" is not a domain name', 'such as "linux-1"'),
    ("name", '"sixteen-letters-"', "is not a domain name", 'such as "sixteen-letters"'),
    ("name", '"grün"', 'name: "grün" is not a domain name', 'such as "gr-n"'),
    ("memory", "true", "memory: true is not a memory size", 'write memory = "256M"'),
    ("memory", "1.5", "memory: 1.5 is not a memory size", 'write memory = "256M"'),
    ("memory", '"256"', 'memory: "256" is not a memory size', 'here "256M"'),
    ("memory", '"256 MB"', 'memory: "256 MB" is not a memory size', 'here "256M"'),
    ("memory", '"1GiB"', 'memory: "1GiB" is not a memory size', 'here "1G"'),
    ("memory", '"much"', 'memory: "much" is not a memory size', 'here memory = "256M"'),
    ("memory", '"-4M"', 'memory: "-4M" is not a memory size', 'here memory = "256M"'),
    ("memory", "0", "memory: a domain needs memory", 'write memory = "256M"'),
    ("memory", "-2", "memory: a domain needs memory", 'write memory = "256M"'),
    ("memory", '"0G"', "memory: a domain needs memory", 'write memory = "256M"'),
    ("memory", "15", "memory: 15M is not a multiple of 2M", 'write "14M" or "16M"'),
    ("memory", '"1K"', "memory: 1K is not a multiple of 2M", 'write "2M"'),
    ("memory", '"4097K"', "memory: 4097K is not a multiple of 2M", 'write "4M" or "6M"'),
    ("memory", "268435456", "memory: 268435456 is more than a guest can address (1019G)", "counts MiB"),
    ("memory", '"1020G"', 'memory: "1020G" is more than a guest can address (1019G)', 'such as "1G"'),
    ("memory", f"0x{'f' * 6000}", "memory: a number beyond 64 bits is more than a guest", 'such as "1G"'),
    ("cpus", '"2"', 'cpus: "2" is not a number of vcpus', "write cpus = 2"),
    ("cpus", "true", "cpus: true is not a number of vcpus", "write cpus = 2"),
    ("cpus", "0", "cpus: a domain cannot have 0 vcpus", "from 1 to 128"),
    ("cpus", "129", "cpus: a domain cannot have 129 vcpus", "from 1 to 128"),
    ("kernel", "[]", "kernel: an array is not text", "in quotes"),
    ("kernel", '""', "kernel: the file's name is empty", "write the file's name"),
    ("kernel", r'"a\u0000b"', r'kernel: "a\u0000b" has a line break or another control character', "one line"),
    ("kernel", '"missing"', 'kernel: "missing" cannot be read: No such file or directory', "name an existing file"),
    ("ramdisk", "{}", "ramdisk: a table is not text", "in quotes"),
    ("ramdisk", '"missing"', 'ramdisk: "missing" cannot be read: No such file or directory', "name an existing file"),
    ("ramdisk", '"."', 'ramdisk: "." cannot be read: Is a directory', "name an existing file"),
    ("bootargs", '["quiet"]', "bootargs: an array is not text", "in one pair of quotes"),
    ("bootargs", r'"a\nb"', r'bootargs: "a\nb" has a line break', "one line"),
    ("bootargs", f'"{"ü" * 1024}"', "bootargs: 2048 bytes are too long", "at most 2047"),
    ("vpl011", '"yes"', 'vpl011: "yes" is neither true nor false', "without quotes"),
    ("vpl011", "1", "vpl011: 1 is neither true nor false", "without quotes"),
    ("on_crash", '"again"', 'on_crash: "again" is no way to go on', 'write one of "restart", "destroy"'),
    ("on_reboot", "true", "on_reboot: true is no way to go on", 'write one of "restart", "destroy"'),
    ("affinity", "3", "affinity: 3 is not an affinity", 'affinity = "0-3"'),
    ("affinity", '""', 'affinity: "" is not a list of CPUs', 'such as "0-3,5"'),
    ("affinity", '"0,"', 'affinity: "0," is not a list of CPUs', 'such as "0-3,5"'),
    ("affinity", '"all"', 'affinity: "all" is not a list of CPUs', 'such as "0-3,5"'),
    ("affinity", '"0-1, 3"', 'affinity: "0-1, 3" is not a list of CPUs', 'such as "0-1,3"'),
    ("affinity", '"3-1"', 'affinity: the range "3-1" runs backwards', 'write "1-3"'),
    ("affinity", '"0-999999999"', "affinity: no machine has a CPU 999999999", "from 0"),
    ("affinity", '"2-5,7"', "affinity: the machine has no CPU 4-5,7", 'use its CPUs "0-3"'),
    ("affinity", "[]", "affinity: 0 entries for 2 vcpus", "one string per vcpu"),
    ("affinity", '["0", "1", "2"]', "affinity: 3 entries for 2 vcpus", "one string per vcpu"),
    ("affinity", '["0", 1]', "affinity: 1 is not a list of CPUs", 'in quotes, such as "0-3"'),
    ("affinity", '["0", "x"]', 'affinity: vcpu 1: "x" is not a list of CPUs', 'such as "0-3,5"'),
    ("memry", "1", 'unknown key "memry"', 'did you mean "memory"?'),
    ("vcpus", "1", 'unknown key "vcpus"', 'did you mean "cpus"?'),
    ("qqq", "1", 'unknown key "qqq"', "known here: name, memory"),
    ("bus.width", "1", 'unknown key "bus"', 'did you mean "cpus"?'),
]


@pytest.mark.parametrize(("key", "value", "what", "instead"), VALUES)
def test_wrong_value(compiled: Compile, key: str, value: str, what: str, instead: str) -> None:
    (message,) = reported(compiled, "# a comment\n\n" + domain(**{key: value}))
    wrong, _, better = message.partition("; ")
    assert what in wrong
    assert instead in better


@pytest.mark.parametrize("key", RIGHT)
def test_missing_key(compiled: Compile, key: str) -> None:
    (message,) = reported(compiled, domain(name='"first"').replace(" #!", "") + "\n" + domain(**{key: None}))
    assert f'has no key "{key}"; write {key} = ' in message


TABLES = [
    ("", 1, "the file describes no domain", "[[domain]]"),
    ("[hypervisor]\n", 1, "the file describes no domain", "[[domain]]"),
    ("\ndomain = []", 2, "the file describes no domain", "[[domain]]"),
    ('\n[domain]\nname = "a"', 2, "[domain] is no list of domains", "write [[domain]]"),
    ("domain = 1", 1, "[domain] is no list of domains", "write [[domain]]"),
    ("\ndomain = [\n1\n]", 3, "1 is not a table", "[[domain]]"),
    ("hypervisor = 1\n" + domain(), 1, "1 is not a table", "[hypervisor]"),
    (domain() + "[[layout]]\n", 6, "an array is not a table", "[layout]"),
    (domain() + "[domian]\n", 6, 'unknown table or key "domian"', 'did you mean "domain"?'),
    (domain() + "[[domains]]\n[[domains]]", 6, 'unknown table or key "domains"', 'did you mean "domain"?'),
    (domain() + "[hypervisor]\ncmdline = ''", 7, 'unknown key "cmdline"', 'did you mean "command_line"?'),
    (domain() + "[hypervisor]\ncommand_line = 1", 7, "command_line: 1 is not text", "in one pair of quotes"),
    (domain() + "[layout]\nload_base = '0x1'", 7, 'load_base: "0x1" is not an address', "such as 0x50000000"),
    (domain() + "[layout]\nload_base = 0x50000001", 7, "0x50000001 is not a physical", "write 0x50000000"),
    (domain() + "[layout]\nload_base = -1", 7, "load_base: -1 is not a physical", "write 0x0"),
    (domain() + "layout.load_base = 1", 6, 'unknown key "layout"', "known here"),
    (f"layout.load_base = 0x{'f' * 6000}\n" + domain(), 1, "beyond 64 bits is not a physical", "write 0xfffffffe00000"),
]


@pytest.mark.parametrize(("text", "line", "what", "instead"), TABLES)
def test_wrong_table(compiled: Compile, text: str, line: int, what: str, instead: str) -> None:
    with pytest.raises(PartitionError) as caught:
        compiled(text)
    (mistake,) = caught.value.mistakes
    assert mistake.line == line
    assert what in mistake.what
    assert instead in mistake.instead


SYNTAX = [
    (domain() + "x = ", 6, "Invalid value", "in quotes"),
    (domain() + "x = 256M", 6, "after a statement", "in quotes"),
    (domain() + 'x = "open', 6, "Illegal character", "close the quotes"),
    (domain() + '\n# comment\nx = """open\n\nnever closed', 8, "Unterminated string", "close it"),
    (domain() + 'x = [\n"a",\n"b"\ny = 1', 9, "what begins in line 6", "close it"),
    (domain() + r'x = "\y"', 6, "Unescaped", "backslash twice"),
    (domain() + "[[domain", 6, "Expected", "write key = value"),
    (domain() + "name = 'b'", 6, "overwrite", "each key once"),
    (domain() + "[hypervisor]\n[hypervisor]", 7, "twice", "each table once"),
    ("\ufeff" + domain(), 1, "Invalid statement", "write key = value"),
    (f"a = 1\nb = {'[' * 100_000}", 2, "beyond all measure", "write less"),
    (f"a = 1\nb = {'9' * 10_000}", 2, "beyond all measure", "write less"),
]


@pytest.mark.parametrize(("text", "line", "what", "instead"), SYNTAX)
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_syntax(compiled: Compile, text: str, line: int, what: str, instead: str, end: str, newline: str) -> None:
    with pytest.raises(PartitionError) as caught:
        compiled((text + end).replace("\n", newline))
    (mistake,) = caught.value.mistakes
    assert mistake.line == line
    assert what in mistake.what
    assert instead in mistake.instead


def test_all_mistakes_at_once(compiled: Compile) -> None:
    text = """
[hypervisor]
comand_line = "x" #!

[[domain]] #!
name = "a"
cpus = 3
memory = "1000K" #!
affinity = [
    "0",
    "7-1", #!
    "1",
]

[[domain]] #!
name = "a" #!
cpus = 0 #!
memory = "256M"
"""
    assert reported(compiled, text) == [
        'unknown key "comand_line"; did you mean "command_line"?',
        'domain "a" has no key "kernel"; write kernel = "Image"',
        'memory: 1000K is not a multiple of 2M; write "2M"',
        'affinity: vcpu 1: the range "7-1" runs backwards; write "1-7"',
        'domain "a" has no key "kernel"; write kernel = "Image"',
        'domain name "a" is already taken in line 6; give each domain a name of its own',
        "cpus: a domain cannot have 0 vcpus; write a number from 1 to 128",
    ]


def test_all_mistakes_against_the_machine_at_once(compiled: Compile) -> None:
    text = domain(memory='"64M"', affinity='"0,4"', ramdisk='"none"').replace('"64M" #!', '"64M"') + domain(
        name='"b"', kernel='"initrd"', memory='"1G"'
    ).replace('"b" #!', '"b"')
    absent, ramdisk, memory, kernel = reported(compiled, text, memory=[(0x4000_0000, GIB)])
    assert absent.startswith("affinity: the machine has no CPU 4;")
    assert ramdisk.startswith('ramdisk: "none" cannot be read')
    assert memory.startswith('with domain "b" the domains have 1088M, the machine has 1G;')
    assert kernel.startswith('kernel: "initrd" is not an arm64 Image')


KERNELS = [
    (b"\x1f\x8b\x08" + bytes(100), "is compressed with gzip", "unpack it (gzip -dc kernel > Image)"),
    (b"MZ\0\0zimg" + bytes(100), "is a self-unpacking EFI image", "arch/arm64/boot/Image"),
    (b"\x7fELF" + bytes(100), "is an ELF file", "vmlinux -> arch/arm64/boot/Image"),
    (bytes(0x24) + b"\x18\x28\x6f\x01" + bytes(100), "is a zImage for 32-bit Arm", "name an arm64 Image"),
    (bytes(100), "is not an arm64 Image", "uncompressed arm64 kernel Image"),
    (b"x", "is not an arm64 Image", "uncompressed arm64 kernel Image"),
    (b"", "is empty", "name a file with contents"),
]


@pytest.mark.parametrize(("content", "what", "instead"), KERNELS)
def test_wrong_kernel(
    write: Callable[[str], Path],
    tree: Callable[..., bytes],
    tmp_path: Path,
    content: bytes,
    what: str,
    instead: str,
) -> None:
    (tmp_path / "kernel").write_bytes(content)
    (message,) = reported(lambda text: load(write(text)).compile(tree(), tmp_path.joinpath), domain(kernel='"kernel"'))
    assert message.startswith(f'kernel: "kernel" {what}')
    assert instead in message


def test_kernel_without_magic_is_refused_whatever_else_it_has(compiled: Compile) -> None:
    assert "is not an arm64 Image" in reported(compiled, domain(kernel='"initrd2"'))[0]


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), KeyError("gone"), ValueError("gone")])
def test_name_that_nobody_knows(write: Callable[[str], Path], tree: Callable[..., bytes], error: Exception) -> None:
    def resolve(name: str) -> Path:
        raise error

    (message,) = reported(lambda text: load(write(text)).compile(tree(), resolve), domain(kernel='"debian"'))
    assert message == 'kernel: "debian" cannot be read: gone; name an existing file'


def test_domain_too_small_for_its_files(compiled: Compile) -> None:
    (message,) = reported(
        compiled, domain(kernel='"unikernel"', memory='"2M"').replace('"unikernel" #!', '"unikernel"')
    )
    assert message == 'memory: 2M does not hold the kernel; write at least "4M"'
    text = domain(kernel='"unikernel"', ramdisk='"initrd2"', memory='"4M"')
    text = text.replace('"unikernel" #!', '"unikernel"').replace('"initrd2" #!', '"initrd2"')
    (message,) = reported(compiled, text)
    assert message == 'memory: 4M does not hold the kernel and the ramdisk; write at least "6M"'
    compiled(text.replace("4M", "6M"))


def test_memory_in_sum_may_be_all_that_there_is(compiled: Compile) -> None:
    text = domain(memory='"1G"').replace(" #!", "") + domain(name='"b"', memory='"1G"').replace('"b" #!', '"b"')
    compiled(text.replace(" #!", ""), memory=[(0x4000_0000, 2 * GIB)])
    (message,) = reported(compiled, text, memory=[(0x4000_0000, GIB), (0x1_0000_0000, GIB - 2 * MIB)])
    assert message.startswith('with domain "b" the domains have 2G, the machine has 2046M')


def test_name_that_the_base_tree_has(compiled: Compile) -> None:
    (message,) = reported(compiled, domain(name='"module"'), chosen=["module"])
    assert message.startswith("the base tree already has a node /chosen/module; rename")


BASES = [
    (b"", "is not a whole flattened device tree"),
    (b"# not a tree", "is not a whole flattened device tree"),
    ({"memory": []}, "has no memory node"),
    ({"memory": [(0x4000_0000, 0)]}, "has no memory node"),
    ({"cpus": 0}, "has no CPU"),
    ({"cpus": 0, "broken_cpus": 4}, "has no CPU"),
]


@pytest.mark.parametrize(("base", "what"), BASES)
def test_base_tree_that_cannot_be_used(
    write: Callable[[str], Path],
    tree: Callable[..., bytes],
    files: Path,
    base: bytes | dict[str, object],
    what: str,
) -> None:
    raw = base if isinstance(base, bytes) else tree(**base)
    with pytest.raises(PartitionError, match=rf"machine.toml:1: the base tree cannot be used: it {what}"):
        load(write(domain().replace(" #!", ""))).compile(raw, lambda name: files / name)


def test_base_tree_that_is_cut_off(write: Callable[[str], Path], tree: Callable[..., bytes]) -> None:
    with pytest.raises(PartitionError, match="it is not a whole flattened device tree"):
        load(write(domain())).compile(tree()[:-8], Path)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match=r"none.toml:1: the file cannot be read: No such file or directory; name"):
        load(tmp_path / "none.toml")
    (tmp_path / "latin1.toml").write_bytes(b"# a\n# gr\xfcn\n")
    with pytest.raises(PartitionError, match=r"latin1.toml:2: byte 0xfc is not UTF-8; save"):
        load(tmp_path / "latin1.toml")
