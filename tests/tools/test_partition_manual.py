"""The examples of the manual are right: whole files compile, for the machines that they are for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.boards import board
from tools.partition import load
from tools.partition.nodes import read_tree

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "partitions.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)


def test_every_example_is_toml() -> None:
    assert len(BLOCKS) >= 5
    for block in BLOCKS:
        tomllib.loads(block)


@pytest.mark.parametrize(("machine", "heading"), [("virt", "QEMU's `virt`"), ("zcu102", "ZCU102")])
def test_whole_files_compile(write: Callable[[str], Path], files: Path, machine: str, heading: str) -> None:
    """Against a machine of the same memory, in which the devices that the example names have other nodes."""
    (section,) = re.findall(
        rf"## A whole file for (?:the )?{re.escape(heading)}.*?```toml\n(.*?)```", MANUAL, re.DOTALL
    )
    memory = [(0x4000_0000, 2 << 30)] if machine == "virt" else [(0, 2 << 30)]
    text = re.sub(r'path = "[^"]+"', 'path = "/soc/gpio@40000"', section)
    text = text.replace("clock_frequency = 125_000_000\n", "")
    names = {"Image": "Image", "control.img": "unikernel", "initrd.cpio": "initrd"}
    partition = load(write(text))
    compiled = partition.compile(board(memory=memory), lambda name: files / names[name])
    nodes = {node.name for node in read_tree(compiled.dtb).find("/chosen").children}
    assert nodes >= {domain.name for domain in partition.domains} >= {"linux1", "control"}


def test_every_key_is_in_the_manual() -> None:
    from tools.partition.description import BOARD, DEVICE, DOMAIN_KEYS, HYPERVISOR, SHARED

    for key in (*DOMAIN_KEYS, *DEVICE, *SHARED, *HYPERVISOR, *BOARD):
        assert f"`{key}`" in MANUAL, key
