"""The layer check on made-up trees."""

from pathlib import Path

from compiler import layers


def tree(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tmp_path / "hv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "hv"


def test_down_is_fine(tmp_path: Path) -> None:
    hv = tree(
        tmp_path,
        {
            "common/lib/a.py": "from hv.lang import u32\n",
            "common/kernel/b.py": "from hv.common.lib.a import x\nfrom hv.arch import relax\n",
            "common/mm/c.py": "from hv.common.lib.a import x\nfrom hv.common.kernel.b import y\n",
            "arm64/d.py": "from hv.common.mm.c import z\n",
        },
    )
    assert layers.problems(hv) == []


def test_up_is_refused_with_file_and_line(tmp_path: Path) -> None:
    hv = tree(
        tmp_path,
        {
            "common/lib/a.py": "from hv.lang import u32\n\nfrom hv.common.kernel.b import y\n",
            "common/kernel/b.py": "from hv.lang import u32\n",
        },
    )
    (said,) = layers.problems(hv)
    assert said.startswith("hv/common/lib/a.py:3: hv.common.lib may not import hv.common.kernel.b")


def test_layers_beside_each_other_are_apart(tmp_path: Path) -> None:
    hv = tree(tmp_path, {"common/sched/a.py": "from hv.common.comm.b import y\n", "common/comm/b.py": ""})
    (said,) = layers.problems(hv)
    assert "hv.common.sched may not import hv.common.comm.b" in said


def test_the_architecture_is_not_common(tmp_path: Path) -> None:
    hv = tree(tmp_path, {"common/mm/a.py": "from hv.arm64.b import y\n", "arm64/b.py": ""})
    (said,) = layers.problems(hv)
    assert "hv.common.mm may not import hv.arm64.b" in said


def test_the_hypervisor_has_nothing_of_the_loader(tmp_path: Path) -> None:
    hv = tree(tmp_path, {"x86/a.py": "from loader.unpack.b import y\n"})
    (said,) = layers.problems(hv)
    assert "hv.x86 may not import loader.unpack.b" in said


def test_the_loader_has_what_is_pure(tmp_path: Path) -> None:
    hv = tree(tmp_path, {"x86/start_info.py": "", "../loader/x86/a.py": "from hv.x86.start_info import y\n"})
    assert layers.problems(hv) == []
    tree(tmp_path, {"../loader/x86/a.py": "from hv.x86.npt import y\n"})
    (said,) = layers.problems(hv)
    assert said.startswith("loader/x86/a.py:1: loader.x86 may not import hv.x86.npt")


def test_a_circle_is_named(tmp_path: Path) -> None:
    hv = tree(
        tmp_path,
        {
            "common/lib/a.py": "from hv.common.lib.b import x\n",
            "common/lib/b.py": "from hv.common.lib.c import x\n",
            "common/lib/c.py": "from hv.common.lib.a import x\n",
            "common/lib/d.py": "from hv.common.lib.a import x\n",
        },
    )
    (said,) = layers.problems(hv)
    names = [f"hv.common.lib.{n}" for n in "abca"]
    assert said == f"modules import each other in a circle: {' -> '.join(names)}"


def test_a_module_that_imports_itself_is_a_circle() -> None:
    assert layers.circle({"a": ["a"]}) == ["a", "a"]
