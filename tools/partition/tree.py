"""Domains as nodes under /chosen, written and read back.

The bindings are those of Xen's docs/misc/arm/device-tree/booting.txt: a "xen,domain" node per domain; below it the
modules ("multiboot,kernel" or "multiboot,ramdisk", each with "multiboot,module" as second compatible, because parsers
differ in which of the two they look for) and one "xen,vcpu" node per vcpu when the domain has an affinity. The node's
name is the domain's name. The hypervisor's own command line is /chosen `xen,xen-bootargs`, which wins over `bootargs`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import libfdt

from tools.partition.cpus import format_cpus, parse_cpus
from tools.partition.machine import QUIET, BadTree, string, subnodes
from tools.partition.model import Domain, Load

HYPERVISOR_COMMAND_LINE = "xen,xen-bootargs"


@dataclass(frozen=True)
class Node:
    name: str
    properties: Mapping[str, bytes]
    children: Iterable[Node] = field(default=())


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


def u64(value: int) -> bytes:
    return struct.pack(">Q", value)


def strings(*values: str) -> bytes:
    return b"".join(value.encode() + b"\0" for value in values)


def _module(kind: str, load: Load | int, more: Mapping[str, bytes]) -> Node:
    """By its place in memory, or by its number among the boot loader's modules."""
    if isinstance(load, int):
        name, place = kind, {"mb-index": u32(load)}
    else:
        name, place = f"{kind}@{load.address:x}", {"reg": u64(load.address) + u64(load.size)}
    return Node(
        name,
        {
            "compatible": strings(f"multiboot,{kind}", "multiboot,module"),
            **place,
            **more,
        },
    )


def domain_node(domain: Domain, kernel: Load | int, ramdisk: Load | int | None) -> Node:
    children = [_module("kernel", kernel, {} if domain.bootargs is None else {"bootargs": strings(domain.bootargs)})]
    if ramdisk is not None:
        children.append(_module("ramdisk", ramdisk, {}))
    for number, cpus in enumerate(domain.affinity or ()):
        properties = {
            "compatible": strings("xen,vcpu"),
            "id": u32(number),
            "hard-affinity": strings(format_cpus(cpus)),
        }
        children.append(Node(f"vcpu{number}", properties))
    return Node(
        domain.name,
        {
            "compatible": strings("xen,domain"),
            "#address-cells": u32(2),
            "#size-cells": u32(2),
            "memory": u64(domain.memory),
            "cpus": u32(domain.cpus),
            **({"vpl011": b""} if domain.vpl011 else {}),
            **({"on-reboot": strings(domain.on_reboot)} if domain.on_reboot != Domain.on_reboot else {}),
            **({"on-crash": strings(domain.on_crash)} if domain.on_crash != Domain.on_crash else {}),
        },
        children,
    )


def empty() -> bytes:
    """A tree with a root alone, for machines that are described otherwise."""
    fdt = libfdt.Fdt.create_empty_tree(4096)
    fdt.pack()
    return bytes(fdt.as_bytearray())


def merge(base: bytes, domains: Iterable[Node], command_line: str | None) -> bytes:
    """The base tree with the nodes as first children of /chosen, in their order, packed."""
    nodes = list(domains)

    def edit(fdt: libfdt.Fdt) -> None:
        chosen = fdt.path_offset("/chosen", QUIET)
        if chosen < 0:
            chosen = fdt.add_subnode(0, "chosen")
        if command_line is not None:
            fdt.setprop(chosen, HYPERVISOR_COMMAND_LINE, strings(command_line))
        for node in reversed(nodes):
            _add(fdt, chosen, node)

    return _edited(base, edit)


def _add(fdt: libfdt.Fdt, parent: int, node: Node) -> None:
    """libfdt puts what is added before what is there, hence the reversed orders."""
    offset = fdt.add_subnode(parent, node.name)
    for name, value in reversed(list(node.properties.items())):
        fdt.setprop(offset, name, value)
    for child in reversed(list(node.children)):
        _add(fdt, offset, child)


def _edited(base: bytes, edit: Callable[[libfdt.Fdt], None]) -> bytes:
    """Applies an edit to a copy that has room enough: libfdt edits in place and says when the room has run out."""
    room = 16 << 10
    while True:
        fdt = libfdt.Fdt(bytearray(base))
        fdt.resize(fdt.totalsize() + room)
        try:
            edit(fdt)
        except libfdt.FdtException as error:
            if error.err != -libfdt.NOSPACE:
                raise
            room *= 4
            continue
        fdt.pack()
        return bytes(fdt.as_bytearray())


def chosen_names(fdt: libfdt.Fdt) -> set[str]:
    """The names of the nodes that /chosen already has. BadTree: one of them is no text."""
    chosen = fdt.path_offset("/chosen", QUIET)
    try:
        return set() if chosen < 0 else {fdt.get_name(node) for node in subnodes(fdt, chosen)}
    except ValueError:
        raise BadTree("it is damaged (the name of a node in /chosen)") from None


@dataclass(frozen=True)
class Module:
    """Where a tree says that a module lies, in bytes."""

    address: int
    size: int
    bootargs: str | None


@dataclass(frozen=True)
class DomainNode:
    """One "xen,domain" node as a boot loader or hypervisor reads it. memory is in KiB."""

    name: str
    memory: int
    cpus: int
    vpl011: bool
    on_reboot: str
    on_crash: str
    kernel: Module
    ramdisk: Module | None
    affinity: Mapping[int, frozenset[int]]


def read_domains(dtb: bytes) -> list[DomainNode]:
    """The domains that a tree describes, in its order. FdtException or KeyError: a node lacks what the bindings ask."""
    fdt = libfdt.Fdt(bytearray(dtb))
    chosen = fdt.path_offset("/chosen")
    return [_read(fdt, node) for node in subnodes(fdt, chosen) if string(fdt, node, "compatible") == "xen,domain"]


def _read(fdt: libfdt.Fdt, node: int) -> DomainNode:
    modules: dict[str, Module] = {}
    affinity: dict[int, frozenset[int]] = {}
    for child in subnodes(fdt, node):
        kind = string(fdt, child, "compatible")
        if kind in ("multiboot,kernel", "multiboot,ramdisk"):
            address, size = struct.unpack(">QQ", fdt.getprop(child, "reg"))
            modules[kind.partition(",")[2]] = Module(address, size, string(fdt, child, "bootargs"))
        elif kind == "xen,vcpu":
            affinity[fdt.getprop(child, "id").as_uint32()] = parse_cpus(fdt.getprop(child, "hard-affinity").as_str())
    return DomainNode(
        name=fdt.get_name(node),
        memory=fdt.getprop(node, "memory").as_uint64(),
        cpus=fdt.getprop(node, "cpus").as_uint32(),
        vpl011=bool(fdt.hasprop(node, "vpl011")),
        on_reboot=string(fdt, node, "on-reboot") or Domain.on_reboot,
        on_crash=string(fdt, node, "on-crash") or Domain.on_crash,
        kernel=modules["kernel"],
        ramdisk=modules.get("ramdisk"),
        affinity=affinity,
    )
