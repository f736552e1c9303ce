"""Domains as nodes under /chosen, written and read back.

The bindings are those of Xen's docs/misc/arm/device-tree/booting.txt: a "xen,domain" node per domain; below it the
modules ("multiboot,kernel" or "multiboot,ramdisk", each with "multiboot,module" as second compatible, because parsers
differ in which of the two they look for) and one "xen,vcpu" node per vcpu when the domain has an affinity. The node's
name is the domain's name. The hypervisor's own command line is /chosen `xen,xen-bootargs`, which wins over `bootargs`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import libfdt

from tools.partition.cpus import format_cpus, parse_cpus
from tools.partition.model import Domain, Given, Load, SharedMemory
from tools.partition.nodes import QUIET

HYPERVISOR_COMMAND_LINE = "xen,xen-bootargs"
LONGEST_FILE = 63  # characters of a partition file's name, as the hypervisor prints it
MOST_LINES = 256


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


@dataclass(frozen=True)
class Files:
    """Where a domain's files are: addresses, or numbers of modules."""

    kernel: Load | int
    ramdisk: Load | int | None = None
    devices: Load | None = None


def domain_node(domain: Domain, files: Files, more: Mapping[str, bytes] | None = None) -> Node:
    children = [
        _module("kernel", files.kernel, {} if domain.bootargs is None else {"bootargs": strings(domain.bootargs)})
    ]
    if files.ramdisk is not None:
        children.append(_module("ramdisk", files.ramdisk, {}))
    if files.devices is not None:
        children.append(_module("device-tree", files.devices, {}))
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
            **_memory(domain),
            **_limits(domain, files),
            **_endings(domain),
            **(more or {}),
        },
        children,
    )


def _memory(domain: Domain) -> Mapping[str, bytes]:
    """`xen,static-mem` has the cells of /chosen, which are two each."""
    properties = {}
    if domain.static_memory:
        properties["xen,static-mem"] = b"".join(u64(span.start) + u64(span.size) for span in domain.static_memory)
    if domain.direct_map:
        properties["direct-map"] = b""
    if domain.llc_colors is not None:
        properties["llc-colors"] = strings(format_cpus(domain.llc_colors))
    return properties


def _limits(domain: Domain, files: Files) -> Mapping[str, bytes]:
    properties = {}
    if files.devices is not None:
        properties["passthrough"] = strings("enabled")
    if domain.nr_spis is not None:
        properties["nr_spis"] = u32(domain.nr_spis)
    if not domain.trap_unmapped_accesses:
        properties["trap-unmapped-accesses"] = u32(0)
    return properties


def _endings(domain: Domain) -> Mapping[str, bytes]:
    """What becomes of a domain, where it is not what the hypervisor does anyway."""
    return {
        name.replace("_", "-"): strings(getattr(domain, name))
        for name in ("on_reboot", "on_crash", "on_watchdog")
        if getattr(domain, name) != getattr(Domain, name)
    }


def shared_node(region: SharedMemory, domain: Domain) -> Node:
    """`xen,shared-mem` is the machine's address, when it is said, the guest's, and the size."""
    place = region.guest_at[domain.name]
    return Node(
        f"shared-memory@{place:x}",
        {
            "compatible": strings("xen,domain-shared-memory-v1"),
            "xen,shm-id": strings(region.name),
            "xen,shared-mem": (u64(region.at) if region.at is not None else b"") + u64(place) + u64(region.size),
            "role": strings("owner" if region.owner == domain.name else "borrower"),
        },
    )


def lines_of(file: str, given: Iterable[Given]) -> Mapping[str, bytes]:
    """Which line of the partition file gave the guest which addresses: rows of address, size, and line, ascending and
    without overlap, for what the hypervisor says of a fault.
    """
    rows = b"".join(u64(each.start) + u64(each.size) + u32(each.line) for each in list(given)[:MOST_LINES])
    return {"constrictor,file": strings(file[-LONGEST_FILE:]), "constrictor,lines": rows}


def flat(root: Node) -> bytes:
    """A tree of these nodes alone."""
    writer = libfdt.FdtSw()
    writer.finish_reservemap()
    _write(writer, root)
    fdt = writer.as_fdt()
    fdt.pack()
    return bytes(fdt.as_bytearray())


def _write(writer: libfdt.FdtSw, node: Node) -> None:
    with writer.add_node(node.name):
        for name, value in node.properties.items():
            writer.property(name, value)
        for child in node.children:
            _write(writer, child)


def empty() -> bytes:
    """A tree with a root alone, for machines that are described otherwise."""
    fdt = libfdt.Fdt.create_empty_tree(4096)
    fdt.pack()
    return bytes(fdt.as_bytearray())


def merge(base: bytes, domains: Iterable[Node], more: Mapping[str, bytes], passed: Iterable[str] = ()) -> bytes:
    """The base tree with the nodes as first children of /chosen, in their order, packed. /chosen gets `more`
    properties, and the nodes at the paths `passed` the mark of devices that a domain has.
    """
    nodes = list(domains)

    def edit(fdt: libfdt.Fdt) -> None:
        for path in passed:
            fdt.setprop(fdt.path_offset(path), "xen,passthrough", b"")
        chosen = fdt.path_offset("/chosen", QUIET)
        if chosen < 0:
            chosen = fdt.add_subnode(0, "chosen")
        for name, value in more.items():
            fdt.setprop(chosen, name, value)
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


def subnodes(fdt: libfdt.Fdt, parent: int) -> Iterator[int]:
    """Offsets of the children of a node, in the order of the tree."""
    node = fdt.first_subnode(parent, QUIET)
    while node >= 0:
        yield node
        node = fdt.next_subnode(node, QUIET)


def string(fdt: libfdt.Fdt, node: int, name: str) -> str | None:
    """A string property, or the first string of a list; None when the node has none."""
    value = fdt.getprop(node, name, QUIET)
    return None if isinstance(value, int) else bytes(value).split(b"\0")[0].decode(errors="replace")


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
