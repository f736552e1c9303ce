"""Devices of the machine that domains get: found in its tree, checked, and given places among the guest's addresses.

Nothing of the hypervisor's own may be given away, nothing twice, and since pages are the finest that a guest can be
given, no two domains may have devices in one page.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tools.partition import guest_map
from tools.partition.interrupts import GIC, Interrupt, NotOfGic, mapped_interrupts, read_interrupts
from tools.partition.iommus import Streams, Unreadable, is_confined, streams_of
from tools.partition.machine import PAGE, Machine, Region, console_of, page_region
from tools.partition.mistakes import Mistakes, shown
from tools.partition.model import Device, Domain, Given, SharedMemory
from tools.partition.nodes import Node

HYPERVISORS = {
    "device_type": ("cpu", "memory"),
    "compatible": (
        *GIC,
        "arm,gic-v3-its",
        "arm,armv8-timer",
        "arm,armv7-timer",
        "arm,psci",
        "arm,psci-0.2",
        "arm,psci-1.0",
        "arm,smmu-v3",
        "arm,mmu-500",
        "arm,mmu-400",
        "arm,smmu-v2",
        "arm,smmu-v1",
    ),
}
NO_DEVICES = ("/chosen", "/aliases", "/cpus", "/reserved-memory")


@dataclass
class Part:
    """A node with registers, of a device that a domain gets: the device's own, or one below it on the same bus.

    regions: where its registers and windows are in the machine, None for one that the guest does not get; places: where
    the guest finds each, set once that is known. within: its interrupts go to a controller that is part of the device.
    streams: of IOMMUs that are driven.
    """

    node: Node
    regions: list[Region]
    windows: int = 0  # how many of the regions, the last, are windows of its `ranges`
    interrupts: list[Interrupt] = field(default_factory=list)
    within: bool = False
    streams: list[Streams] = field(default_factory=list)
    places: list[int | None] = field(default_factory=list)


@dataclass
class Assigned:
    domain: Domain
    device: Device
    node: Node
    parts: list[Part]

    @property
    def interrupts(self) -> Iterator[Interrupt]:
        """All, also those that a bus passes on."""
        for part in self.parts:
            yield from part.interrupts


def assign(
    machine: Machine, domains: Sequence[Domain], shared: Sequence[SharedMemory], mistakes: Mistakes
) -> Mapping[str, list[Assigned]]:
    """Domain -> its devices, each placed. What is wrong is noted, and the device left out."""
    assigned: dict[str, list[Assigned]] = {}
    for domain in domains:
        found = (_find(machine, domain, device, mistakes) for device in domain.devices)
        assigned[domain.name] = [each for each in found if each is not None]
    every = [each for devices in assigned.values() for each in devices]
    _check_given_once(every, mistakes)
    _check_pages(every, mistakes)
    _check_interrupts(machine, every, mistakes)
    _check_streams(every, mistakes)
    for domain in domains:
        _place(machine, domain, assigned[domain.name], shared, mistakes)
    return assigned


def _find(machine: Machine, domain: Domain, device: Device, mistakes: Mistakes) -> Assigned | None:
    line = device.line("path")
    node = machine.tree.find(device.path)
    if node is None:
        what = f"the machine's tree has no device {shown(device.path)}"
        mistakes.add(line, what, nearest(machine, device.path))
        return None
    why = _kept_back(machine, node)
    if why is not None:
        mistakes.add(line, f"{node.path} {why}", "leave it out")
        return None
    try:
        parts = list(_parts(machine, node))
        interrupts = [interrupt.number for part in parts for interrupt in part.interrupts]
    except Unusable as error:
        mistakes.add(line, f"{node.path}: {error}", error.instead)
        return None
    if not parts or not any(part.regions for part in parts):
        if interrupts:
            what = f"{node.path} has interrupts and no registers, and the binding asks for both"
            mistakes.add(line, what, "leave it out")
            return None
        return Assigned(domain, device, node, [])
    if not _check_iommus(machine, parts, device, mistakes):
        return None
    for wanted in device.interrupts or ():
        if wanted not in interrupts:
            has = f"it has {', '.join(map(str, interrupts))}" if interrupts else "leave interrupts out"
            mistakes.add(device.line("interrupts"), f"interrupts: {node.path} has no interrupt {wanted}", has)
    if device.interrupts is not None:
        for part in parts:
            part.interrupts = [each for each in part.interrupts if each.number in device.interrupts]
    return Assigned(domain, device, node, parts)


def nearest(machine: Machine, path: str) -> str:
    """What to write for a path that the tree does not have."""
    paths = {node.path.lower(): node.path for node in machine.tree.root.walk() if "compatible" in node.properties}
    near = difflib.get_close_matches(path.lower(), paths, n=1, cutoff=0.6)
    if not near:
        last = path.lower().rsplit("/", 1)[-1]
        names = {key.rsplit("/", 1)[-1]: key for key in paths}
        near = [names[name] for name in difflib.get_close_matches(last, names, n=1, cutoff=0.6)]
    if near:
        return f'did you mean "{paths[near[0]]}"?'
    return "write the path of a node of the tree, as dtc -I dtb -O dts shows it, or an alias"


def _kept_back(machine: Machine, node: Node) -> str | None:
    """Why no domain can have the node."""
    if node.parent is None or any(node.path == path or node.path.startswith(f"{path}/") for path in NO_DEVICES):
        return "is no device"
    if console_of(machine.tree) is node:
        return "is the UART that the hypervisor uses"
    for each in node.walk():
        for name, values in HYPERVISORS.items():
            if any(value in values for value in each.strings(name)):
                return "is the hypervisor's" if each is node else f"has {each.path} below it, which is the hypervisor's"
    return None


class Unusable(ValueError):
    """A device that no domain can be given as the tree has it; the text says why."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(why)
        self.instead = instead


def _parts(machine: Machine, node: Node) -> Iterator[Part]:
    for each in _on_its_bus(node):
        part = _part(machine, node, each)
        if each is node or part.regions:
            yield part


def _on_its_bus(node: Node) -> Iterator[Node]:
    """The node, and what is below it without a bus of its own between."""
    waiting = [node]
    while waiting:
        each = waiting.pop(0)
        yield each
        if each.properties.get("ranges") == b"":
            waiting += each.children


def _part(machine: Machine, device: Node, node: Node) -> Part:
    regions = []
    if node is device and "reg" in node.properties and not _is_mapped(node):
        raise Unusable("no bus above it passes its registers on", "leave it out")
    for address, size in node.reg() if _is_mapped(node) else []:
        place = node.physical(address, size)
        if place is None:
            raise Unusable(f"no bus above it passes its registers at {address:#x} on", "leave it out")
        regions.append(Region(place, place + size, node.path))
    windows = list(_windows(node))
    part = Part(node, regions + windows, len(windows))
    try:
        part.interrupts = read_interrupts(machine.tree, node)
        if windows:
            part.interrupts += dict.fromkeys(row for _, row in mapped_interrupts(machine.tree, node)[0])
    except NotOfGic as error:
        if error.controller is None or not device.holds(error.controller):
            raise Unusable(str(error), "leave it out: only interrupts of the GIC reach a guest") from None
        part.within = True
    return part


def _is_mapped(node: Node) -> bool:
    """Whether its reg holds addresses of the machine, and not of a bus such as I2C: every bus above passes them on."""
    return all("ranges" in bus.properties for bus in node.above() if bus.parent is not None)


def _windows(node: Node) -> Iterator[Region]:
    """Where the machine has what a PCI bus passes on."""
    if not node.properties.get("ranges"):
        return
    if node.string("device_type") != "pci":
        raise Unusable("it is a bus with addresses of its own", "give the devices below it, each by its path")
    bus = node.parent
    assert bus is not None, "a root on a bus"
    for _, place, size in node.entries("ranges", node.address_cells, bus.address_cells, node.size_cells):
        physical = node.physical(place, size)
        if physical is None:
            raise Unusable(f"no bus above it passes its window at {place:#x} on", "leave it out")
        yield Region(physical, physical + size, f"{node.path}'s window")


def _check_iommus(machine: Machine, parts: Sequence[Part], device: Device, mistakes: Mistakes) -> bool:
    """As in Xen, who gives away a device that can reach all memory has to say so. False: the tree cannot be read."""
    for part in parts:
        node = part.node
        try:
            part.streams = [each for each in streams_of(machine.tree, node) if each.driven]
            confined = is_confined(machine.tree, node)
        except Unreadable as error:
            mistakes.add(device.line("path"), f"{node.path}: {error}", "correct the machine's tree")
            return False
        if not confined and not device.force_assign_without_iommu:
            what = f"{node.path} is behind no SMMUv3: if it can write to memory, then to all memory"
            instead = (
                "write force_assign_without_iommu = true when it cannot, or its domain is trusted, or leave it out"
            )
            mistakes.add(device.line("path"), what, instead)
            break
    return True


def _check_given_once(every: Sequence[Assigned], mistakes: Mistakes) -> None:
    for index, second in enumerate(every):
        for first in every[:index]:
            if not _overlap(first.node, second.node):
                continue
            line = first.device.line("path")
            if first.node is second.node:
                what = f'{second.node.path} already belongs to domain "{first.domain.name}" (line {line})'
            else:
                around, inner = (first, second) if first.node.holds(second.node) else (second, first)
                what = f"{inner.node.path} belongs to {around.node.path}, which line {line} gives as well"
                if around is second:
                    what = f"{around.node.path} has {inner.node.path} below it, which line {line} gives as well"
            mistakes.add(second.device.line("path"), what, "give each device once")
            break


def _overlap(one: Node, other: Node) -> bool:
    """Whether one of the nodes is the other, or part of it."""
    return one.holds(other) or other.holds(one)


def _check_pages(every: Sequence[Assigned], mistakes: Mistakes) -> None:
    pages: dict[str, list[tuple[Region, Assigned]]] = {}
    for second in every:
        mine = [page_region(region) for part in second.parts for region in part.regions]
        for name, others in pages.items():
            if name == second.domain.name:
                continue
            clash = next((other for page in mine for other in others if other[0].overlaps(page.start, page.size)), None)
            if clash is not None and not _overlap(clash[1].node, second.node):
                what = f'{second.node.path} is in one page with {clash[1].node.path} of domain "{name}" ({clash[0]})'
                mistakes.add(second.device.line("path"), what, "give both to one domain")
        pages.setdefault(second.domain.name, []).extend((page, second) for page in mine)


def _check_interrupts(machine: Machine, every: Sequence[Assigned], mistakes: Mistakes) -> None:
    owners: dict[int, Assigned] = {}
    for second in every:
        domain, line = second.domain, second.device.line("interrupts")
        for interrupt in second.interrupts:
            first = owners.setdefault(interrupt.number, second)
            if first.domain is not domain and not _overlap(first.node, second.node):
                what = f"{second.node.path} has the interrupt {interrupt.number} in common with {first.node.path}"
                instead = f'give both to one domain (the other belongs to "{first.domain.name}", line '
                mistakes.add(line, what, f"{instead}{first.device.line('path')})")
            if interrupt.number == guest_map.layout_of(domain, machine).uart_interrupt and domain.vpl011:
                what = f"{second.node.path} has the interrupt {interrupt.number}, as the domain's emulated UART"
                mistakes.add(line, what, "write vpl011 = false")
            if domain.nr_spis is not None and interrupt.number >= 32 + domain.nr_spis:
                what = f"nr_spis: {second.node.path} has the interrupt {interrupt.number}"
                mistakes.add(domain.line("nr_spis"), what, f"write at least {interrupt.number - 31}, or leave it out")


def _check_streams(every: Sequence[Assigned], mistakes: Mistakes) -> None:
    """What an IOMMU cannot tell from each other belongs to one domain."""
    for index, second in enumerate(every):
        for first in every[:index]:
            if first.domain is second.domain or _overlap(first.node, second.node):
                continue
            stream = next((each for each in _common_streams(first, second)), None)
            if stream is not None:
                what = f"{second.node.path} has the stream {stream:#x} in common with {first.node.path}"
                instead = f'give both to one domain (the other belongs to "{first.domain.name}", line '
                mistakes.add(second.device.line("path"), what, f"{instead}{first.device.line('path')})")


def _common_streams(first: Assigned, second: Assigned) -> Iterator[int]:
    for one in first.parts:
        for other in second.parts:
            for streams in one.streams:
                for others in other.streams:
                    shared = streams.shared_with(others)
                    if shared is not None:
                        yield shared


# Places


def _place(
    machine: Machine, domain: Domain, devices: Sequence[Assigned], shared: Sequence[SharedMemory], mistakes: Mistakes
) -> None:
    """Gives everything of a domain its guest addresses; devices that choose their place themselves come last."""
    _check_memory(machine, domain, mistakes)
    taken = guest_map.own_of(domain, machine)
    for memory in shared:
        if domain.name in memory.guest_at:
            start = memory.guest_at[domain.name]
            taken.append(Region(start, start + memory.size, f'the shared memory "{memory.name}"'))
    waiting: list[tuple[Part, int]] = []
    for each in devices:
        wishes = _wishes(each, mistakes)
        for part in each.parts:
            for index, region in enumerate(part.regions):
                wish = wishes.pop(0)
                part.places.append(None)
                if wish == "free":
                    waiting.append((part, index))
                elif wish != "none":
                    start = region.start if wish == "same" else int(wish)
                    part.places[index] = _settle(each, region, start, taken, mistakes)
    for part, index in waiting:
        region = part.regions[index]
        page = page_region(region)
        place = guest_map.free_place(taken, page.size)
        if place is not None:
            part.places[index] = place + region.start - page.start
            taken.append(Region(place, place + page.size, region.what))


def _check_memory(machine: Machine, domain: Domain, mistakes: Mistakes) -> None:
    """Memory that is mapped directly leaves the domain's controller and UART their places."""
    if not domain.direct_map:
        return
    layout = guest_map.layout_of(domain, machine)
    for span in domain.static_memory:
        for other in guest_map.wanted([*layout.own, *([layout.uart] if domain.vpl011 else [])], span.start, span.size):
            instead = "another place, or direct_map = false"
            if other is layout.uart:
                instead += ", or vpl011 = false"
            what = f"static_memory: mapped directly, {span.start:#x}-{span.end:#x} overlaps {other.what} ({other})"
            mistakes.add(span.line("at"), what, f"write {instead}")


def _wishes(each: Assigned, mistakes: Mistakes) -> list[int | str]:
    """For each region of each part. Only the device's own can be moved."""
    count = sum(len(part.regions) for part in each.parts)
    own = len(each.parts[0].regions) if each.parts else 0
    given = list(each.device.at)
    if given and len(given) != own:
        ranges = ", ".join(str(region) for region in each.parts[0].regions) if own else "none"
        what = f"at: {each.node.path} has {own} ranges of addresses ({ranges}), and here are {len(given)} places"
        mistakes.add(each.device.line("at"), what, 'write one for each, such as "same", or leave the key out')
        return ["none"] * count
    if given and count > own and any(place != "same" for place in given):
        what = f"at: {each.node.path} has devices below it that cannot be moved with it"
        mistakes.add(each.device.line("at"), what, "leave the key out")
    return (given or ["same"] * own) + ["same"] * (count - own)


def _settle(each: Assigned, region: Region, start: int, taken: list[Region], mistakes: Mistakes) -> int | None:
    """The place that the file wants, when it is free."""
    line, page = each.device.line("at"), page_region(region)
    if start % PAGE != region.start % PAGE:
        what = f"at: {start:#x} and {region.start:#x}, where the machine has it, lie differently in their pages of 4K"
        mistakes.add(line, what, f"write {start // PAGE * PAGE + region.start % PAGE:#x}")
        return None
    first = start // PAGE * PAGE
    for other in guest_map.wanted(taken, first, page.size):
        if (other.start, other.end, other.what) == (first, first + page.size, _in_page(page)):
            return start  # the same page of the machine, for another of its devices
        free = guest_map.free_place(taken, page.size)
        where = f"at {start:#x} of its guest" if "at" in each.device.lines else f"at {start:#x}, as in the machine,"
        what = f"{region.what} {where} overlaps {_plain(other.what)} ({other})"
        better = '"free"' if free is None else f'{free + region.start - page.start:#x} or "free"'
        mistakes.add(line, what, f"write {better} {'in its place' if each.device.at else 'in at'}")
        return None
    taken.append(Region(first, first + page.size, _in_page(page)))
    return start


def _in_page(page: Region) -> str:
    return f"a device in the page {page}"


def _plain(what: str) -> str:
    return "another of its devices" if what.startswith("a device in the page") else what


def given_to(
    domain: Domain, devices: Sequence[Assigned], shared: Sequence[SharedMemory], machine: Machine | None
) -> list[Given]:
    """All that lines of the file gave the domain, by its addresses, which do not overlap."""
    found: dict[int, Given] = {}
    key = "memory" if "memory" in domain.lines else "static_memory"
    for region in guest_map.memory_of(domain):
        found[region.start] = Given(region.start, region.size, domain.line(key), "memory")
    if domain.direct_map:
        for span in domain.static_memory:
            found[span.start] = Given(span.start, span.size, span.line("at"), "memory", span.start)
    elif len(domain.static_memory) == 1 and len(found) == 1:
        ((start, given),) = found.items()
        span = domain.static_memory[0]
        found[start] = Given(start, given.size, span.line("at"), "memory", span.start)
    if domain.vpl011 and (machine is not None or not domain.direct_map):  # whose place the machine's tree tells
        uart = guest_map.layout_of(domain, machine).uart
        found[uart.start] = Given(uart.start, uart.size, domain.line("vpl011"), "UART")
    for memory in shared:
        if domain.name in memory.guest_at:
            start = memory.guest_at[domain.name]
            found[start] = Given(start, memory.size, memory.line("guest_at"), memory.name, memory.at)
    for each in devices:
        for part in each.parts:
            for region, place in zip(part.regions, part.places, strict=True):
                if place is not None:
                    page = page_region(region)
                    start = place // PAGE * PAGE
                    line = each.device.line("path")
                    found.setdefault(start, Given(start, page.size, line, region.what, page.start))
    return [found[start] for start in sorted(found)]


def check_shared(
    machine: Machine, domains: Sequence[Domain], shared: Sequence[SharedMemory], mistakes: Mistakes
) -> None:
    """The guests' addresses of shared memory: not on what is there already, and where it is when directly mapped."""
    for domain in domains:
        taken = guest_map.own_of(domain, machine)
        for region in shared:
            start = region.guest_at.get(domain.name)
            if start is None:
                continue
            line = region.line("guest_at")
            if domain.direct_map and start != region.at:
                where = "the hypervisor chooses its place" if region.at is None else f"it is at {region.at:#x}"
                what = f'guest_at: domain "{domain.name}" is mapped directly, and {where}'
                mistakes.add(line, what, f"write at = {start:#x} and the same in guest_at")
            for other in guest_map.wanted(taken, start, region.size):
                free = guest_map.free_place(taken, region.size)
                what = f'guest_at: {start:#x} of domain "{domain.name}" overlaps {other.what} ({other})'
                mistakes.add(line, what, f"write {free or 0x1000_0000:#x}, or another place that is free")
                break
            taken.append(Region(start, start + region.size, f'the shared memory "{region.name}"'))
