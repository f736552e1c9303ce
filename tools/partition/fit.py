"""One file for U-Boot's bootm: a FIT image with the hypervisor, the tree and all files, each with where it goes and a
digest.

Source: the FIT specification (U-Boot, doc/usage/fit/source_file_format.rst). Files of domains are loadables: U-Boot
puts them in place and does nothing else with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tools.partition.image import read_image
from tools.partition.model import MIB, Compiled
from tools.partition.places import Places
from tools.partition.tree import Node, flat, strings, u32, u64

ARCH = {"arch": strings("arm64"), "compression": strings("none")}
MAX_SIZE = 1024 * MIB  # libfdt counts bytes in an int; and a bank of memory has to hold it all twice


class TooLarge(ValueError):
    """The files do not fit into one image; the text says so."""


def fit_image(compiled: Compiled, places: Places, hypervisor: Path, title: str) -> bytes:
    """OSError: a file cannot be read. Wrong: the hypervisor is no arm64 Image. TooLarge."""
    read_image(hypervisor, hypervisor.name)
    total = hypervisor.stat().st_size + sum(load.size for load in compiled.loads)
    if total > MAX_SIZE:
        raise TooLarge(f"{total // MIB} MiB are too much for one image, {MAX_SIZE // MIB} are the most: use uboot")
    kernel = {"type": strings("kernel"), "os": strings("linux"), "entry": _cells(places.hypervisor)}
    images = [
        _image("hypervisor", "Constrictor", hypervisor.read_bytes(), places.hypervisor, kernel),
        _image("tree", "device tree", compiled.dtb, places.tree, {"type": strings("flat_dt")}),
    ]
    names = []
    for number, load in enumerate(compiled.loads, 1):
        content = load.path.read_bytes() if load.content is None else load.content
        names.append(f"file-{number}")
        more = {"type": strings("firmware"), "os": strings("linux")}
        images.append(_image(names[-1], load.path.name, content, load.address, more))
    configuration = {"description": strings(title), "kernel": strings("hypervisor"), "fdt": strings("tree")}
    if names:
        configuration["loadables"] = strings(*names)
    root = {"timestamp": u32(0), "description": strings(title), "#address-cells": u32(2)}
    configurations = Node("configurations", {"default": strings("machine")}, [Node("machine", configuration)])
    return flat(Node("", root, [Node("images", {}, images), configurations]))


def _image(name: str, description: str, content: bytes, address: int, more: Mapping[str, bytes]) -> Node:
    digest = {"algo": strings("sha256"), "value": hashlib.sha256(content).digest()}
    properties = {"description": strings(description), **more, **ARCH, "load": _cells(address), "data": content}
    return Node(name, properties, [Node("hash-1", digest)])


def _cells(address: int) -> bytes:
    return u32(address) if address < 1 << 32 else u64(address)


def commands(places: Places, name: str) -> str:
    """What starts the image at U-Boot's prompt."""
    medium = "${devtype} ${devnum}:${distro_bootpart}"
    return "\n".join(
        [
            f"load {medium} {places.room:#x} ${{prefix}}{name}",
            "setenv fdt_high 0xffffffffffffffff",
            f"bootm {places.room:#x}",
        ]
    )
