"""The format of partition files: which tables and keys there are, and what each may hold.

Everything that can be known from the file alone is checked here, and every mistake is reported, not the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tools.partition import values
from tools.partition.lines import Document, parse
from tools.partition.mistakes import Mistakes, Wrong, closest, shown
from tools.partition.model import KIB, Device, Domain, SharedMemory, Span, format_size
from tools.partition.partition import Board, Partition
from tools.partition.spans import check_spans
from tools.partition.values import BLOCK, EXAMPLES, HEAP_BLOCK, PAGE, Reader

FOREIGN_TABLES = ("scenario", "machine")  # belong to the scenario runner
TABLES = ("domain", "shared_memory", "hypervisor", "layout", "board")
NEEDED = ("name", "memory", "cpus", "kernel")

Place = tuple[str | int, ...]


def load(path: Path) -> Partition:
    """Reads a partition file. PartitionError: the file is unreadable or has mistakes; its text names all of them."""
    document = parse(path)
    mistakes = Mistakes(path)
    domains = _domains(document, mistakes)
    shared = _tables(document, mistakes, ("shared_memory",), document.data.get("shared_memory", []), SHARED)
    hypervisor = _table(document, mistakes, "hypervisor", HYPERVISOR)
    layout = _table(document, mistakes, "layout", {"load_base": values.read_load_base})
    board = _table(document, mistakes, "board", BOARD)
    known = [*TABLES, *FOREIGN_TABLES]
    for name in document.data:
        if name not in known:
            mistakes.add(document.line(name), f"unknown table or key {shown(name)}", closest(name, known))
    regions = [region for region in (_shared(each, domains, mistakes) for each in shared) if region is not None]
    _check_names(regions, mistakes)
    _check_input(document, hypervisor, domains, mistakes)
    heap = tuple(Span(**each) for each in hypervisor.get("static_heap", ()))
    check_spans(domains, regions, heap, mistakes)
    mistakes.check()
    return Partition(
        path=path,
        domains=tuple(domains),
        command_line=hypervisor.get("command_line"),
        load_base=layout.get("load_base"),
        load_base_line=document.line("layout", "load_base"),
        shared=tuple(regions),
        static_heap=heap,
        console_input=hypervisor.get("console_input"),
        board=Board(**board, lines=_lines(document, ("board",), board)),
    )


def _domains(document: Document, mistakes: Mistakes) -> list[Domain]:
    tables = document.data.get("domain")
    if isinstance(tables, dict) or (tables is not None and not isinstance(tables, list)):
        mistakes.add(document.line("domain"), "[domain] is no list of domains", "write [[domain]] before each domain")
        return []
    if not tables:
        hypervisor = document.data.get("hypervisor")
        if not (isinstance(hypervisor, dict) and "command_line" in hypervisor):  # the hypervisor alone, told what to do
            hint = "add a table that begins with [[domain]]"
            mistakes.add(document.line("domain"), "the file describes no domain", hint)
        return []
    domains = []
    seen: dict[str, int] = {}
    for index, table in enumerate(tables):
        place = ("domain", index)
        found = _keys(document, mistakes, place, table, DOMAIN_KEYS, NESTED)
        if not isinstance(table, dict):
            continue
        line = document.line(*place)
        name = found.get("name")
        _name_missing(table, found, line, mistakes)
        if name in seen:
            mistakes.add(
                document.line(*place, "name"),
                f'domain name "{name}" is already taken in line {seen[name]}',
                "give each domain a name of its own",
            )
        elif name is not None:
            seen[name] = document.line(*place, "name")
        try:
            affinity = values.affinity_per_vcpu(found.get("affinity"), found.get("cpus"))
        except Wrong as wrong:
            mistakes.add(document.line(*place, "affinity"), wrong.what, wrong.instead)
            continue
        found["static_memory"] = tuple(Span(**each) for each in found.get("static_memory", ()))
        found["devices"] = tuple(Device(**each) for each in found.get("devices", ()))
        _settle_memory(document, place, table, found, mistakes)
        if all(key in found for key in NEEDED):
            lines = _lines(
                document, place, {key: value for key, value in found.items() if key in table or key == "memory"}
            )
            domains.append(Domain(**{**found, "affinity": affinity}, lines=lines))
    return domains


def _name_missing(table: Mapping[str, Any], found: Mapping[str, Any], line: int, mistakes: Mistakes) -> None:
    label = f'domain "{found["name"]}"' if found.get("name") else "this domain"
    for key in NEEDED:
        if key not in table and not (key == "memory" and "static_memory" in table):
            mistakes.add(line, f'{label} has no key "{key}"', f"write {EXAMPLES[key]}")


def _settle_memory(
    document: Document, place: Place, table: Mapping[str, Any], found: dict[str, Any], mistakes: Mistakes
) -> None:
    """Static memory is all that a domain has; what goes with it, and what does not."""
    static = sum(span.size for span in found["static_memory"])
    if static:
        memory = found.get("memory", static // KIB)
        if memory * KIB != static:
            what = f"memory: {format_size(memory * KIB)}, and static_memory adds up to {format_size(static)}"
            mistakes.add(document.line(*place, "memory"), what, f'write "{format_size(static)}", or leave memory out')
        elif "memory" not in table:
            found["memory"] = memory
        if "llc_colors" in found:
            what = "llc_colors: static memory has the colours of its addresses"
            mistakes.add(document.line(*place, "llc_colors"), what, "leave out llc_colors or static_memory")
    elif found.get("direct_map") and "static_memory" not in table:
        instead = 'write static_memory = [{ at = 0x60000000, size = "256M" }]'
        mistakes.add(document.line(*place, "direct_map"), "direct_map: only static memory has such a place", instead)


def _shared(found: dict[str, Any], domains: Sequence[Domain], mistakes: Mistakes) -> SharedMemory | None:
    """One [[shared_memory]] table, held against the file's domains."""
    lines, line = found["lines"], found["lines"][""]
    for key in ("name", "size", "guest_at", "borrowers"):
        if key not in lines and not (key == "borrowers" and "owner" in lines):
            mistakes.add(line, f'this shared memory has no key "{key}"', f"write {SHARED_EXAMPLES[key]}")
    if any(key not in found for key in ("name", "size", "guest_at")) or any(key not in found for key in lines if key):
        return None
    users = (*([found["owner"]] if "owner" in found else []), *found.get("borrowers", ()))
    known = [domain.name for domain in domains]
    for key in ("owner", "borrowers"):
        for user in [found["owner"]] if key == "owner" and "owner" in found else found.get("borrowers", ()):
            if key in found and user not in known:
                mistakes.add(lines[key], f"{key}: the file describes no domain {shown(user)}", closest(user, known))
    if len(set(users)) < len(users):
        mistakes.add(lines["borrowers"], "borrowers: the owner needs not borrow", "leave it out of the borrowers")
    if len(set(users)) < 2:
        mistakes.add(line, f'"{found["name"]}" is shared by one domain alone', f"write {EXAMPLES['borrowers']}")
    at = found["guest_at"]
    if isinstance(at, dict):
        for user in users:
            if user not in at:
                what = f"guest_at: it has no address for domain {shown(user)}"
                mistakes.add(lines["guest_at"], what, f"write {{ {user} = 0x10000000 }} into it")
        for other in at.keys() - set(users):
            what = f"guest_at: domain {shown(other)} does not share it"
            mistakes.add(lines["guest_at"], what, "leave it out, or make it a borrower")
    addresses = at if isinstance(at, dict) else dict.fromkeys(users, at)
    return SharedMemory(
        name=found["name"],
        size=found["size"],
        owner=found.get("owner"),
        borrowers=found.get("borrowers", ()),
        guest_at={user: addresses[user] for user in users if user in addresses},
        at=found.get("at"),
        lines=lines,
    )


def _check_names(regions: Sequence[SharedMemory], mistakes: Mistakes) -> None:
    seen: dict[str, int] = {}
    for region in regions:
        line = region.line("name")
        if region.name in seen:
            what = f'shared memory "{region.name}" is already described in line {seen[region.name]}'
            mistakes.add(line, what, "give each a name of its own")
        seen.setdefault(region.name, line)


def _check_input(
    document: Document, hypervisor: Mapping[str, Any], domains: Sequence[Domain], mistakes: Mistakes
) -> None:
    name = hypervisor.get("console_input")
    if name is None:
        return
    line = document.line("hypervisor", "console_input")
    for domain in domains:
        if domain.name == name:
            if not domain.vpl011:
                mistakes.add(line, f'console_input: domain "{name}" has no UART', "name one with vpl011 = true")
            return
    known = [domain.name for domain in domains if domain.vpl011]
    mistakes.add(line, f"console_input: the file describes no domain {shown(name)}", closest(name, known))


def _table(document: Document, mistakes: Mistakes, name: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    return _keys(document, mistakes, (name,), document.data.get(name, {}), readers, NESTED)


Nested = Callable[[Document, Mistakes, Place, Any], Any]


def _keys(
    document: Document,
    mistakes: Mistakes,
    place: Place,
    table: Any,
    readers: Mapping[str, Reader],
    nested: Mapping[str, Nested],
) -> dict[str, Any]:
    """The values of one table that can be used; the others are noted as mistakes. Keys whose reader is named in
    `nested` hold tables themselves."""
    if not isinstance(table, dict):
        mistakes.add(document.line(*place), f"{shown(table)} is not a table", f"write {_header(place)}")
        return {}
    found = {}
    for key, value in table.items():
        if key not in readers:
            mistakes.add(document.line(*place, key), f"unknown key {shown(key)}", closest(key, readers))
            continue
        if key in nested:
            found[key] = nested[key](document, mistakes, (*place, key), value)
            continue
        try:
            found[key] = readers[key](value)
        except Wrong as wrong:
            element = () if wrong.element is None else (wrong.element,)
            mistakes.add(document.line(*place, key, *element), f"{key}: {wrong.what}", wrong.instead)
    return found


def _header(place: Place) -> str:
    match place:
        case (str(name),):
            return f"[{name}] and keys below it"
        case (str(name), int()):
            return f"[[{name}]] and keys below it"
        case (*_, str(key), int()):
            return "{ path = ... } or a path" if key == "devices" else '{ at = 0x60000000, size = "256M" }'
    return "keys and values"


def _tables(
    document: Document, mistakes: Mistakes, place: Place, value: Any, readers: Mapping[str, Reader]
) -> list[dict[str, Any]]:
    """An array of tables, each with the lines of its keys, also of those that cannot be used."""
    if not isinstance(value, list):
        instead = f"write [[{'.'.join(str(part) for part in place if isinstance(part, str))}]] before each"
        mistakes.add(document.line(*place), f"{place[-1]}: {shown(value)} is no list of tables", instead)
        return []
    found = []
    for index, each in enumerate(value):
        below = (*place, index)
        table = {"path": each} if place[-1] == "devices" and isinstance(each, str) else each
        keys = _keys(document, mistakes, below, table, readers, {})
        if isinstance(table, dict):
            found.append({**keys, "lines": _lines(document, below, table)})
    return found


def _devices(document: Document, mistakes: Mistakes, place: Place, value: Any) -> list[dict[str, Any]]:
    found = _tables(document, mistakes, place, value, DEVICE)
    for each in found:
        if "path" not in each["lines"]:
            mistakes.add(each["lines"][""], "this device has no path", f"write {EXAMPLES['path']}")
    return [each for each in found if "path" in each]


def _spans(document: Document, mistakes: Mistakes, place: Place, value: Any, boundary: int) -> list[dict[str, Any]]:
    readers = {
        "at": partial(values.read_address, boundary=boundary),
        "size": partial(values.read_size, boundary=boundary),
    }
    found = _tables(document, mistakes, place, value, readers)
    for each in found:
        for key in ("at", "size"):
            if key not in each["lines"]:
                mistakes.add(each["lines"][""], f'{place[-1]}: this range has no key "{key}"', f"write {EXAMPLES[key]}")
    whole = [each for each in found if "at" in each and "size" in each]
    return [{"start": each["at"], "size": each["size"], "lines": each["lines"]} for each in whole]


def _lines(document: Document, place: Place, keys: Mapping[str, Any]) -> dict[str, int]:
    return {"": document.line(*place)} | {key: document.line(*place, key) for key in keys}


def _unread(value: Any) -> Any:
    return value


NESTED: Mapping[str, Nested] = {
    "devices": _devices,
    "static_memory": partial(_spans, boundary=BLOCK),
    "static_heap": partial(_spans, boundary=HEAP_BLOCK),
}

DOMAIN_KEYS: Mapping[str, Reader] = {
    "name": values.read_name,
    "memory": values.read_memory,
    "cpus": values.read_cpus,
    "kernel": values.read_file,
    "ramdisk": values.read_file,
    "bootargs": values.read_command_line,
    "vpl011": values.read_flag,
    "on_reboot": values.read_ending,
    "on_crash": values.read_ending,
    "on_watchdog": values.read_ending,
    "affinity": values.read_affinity,
    "static_memory": _unread,
    "direct_map": values.read_flag,
    "devices": _unread,
    "nr_spis": values.read_spis,
    "trap_unmapped_accesses": values.read_flag,
    "llc_colors": values.read_colors,
}

DEVICE: Mapping[str, Reader] = {
    "path": values.read_path,
    "at": values.read_places,
    "interrupts": values.read_interrupts,
    "force_assign_without_iommu": values.read_flag,
    "clock_frequency": values.read_frequency,
    "drop": values.read_words,
}

SHARED: Mapping[str, Reader] = {
    "name": values.read_shm_id,
    "size": partial(values.read_size, boundary=PAGE),
    "at": partial(values.read_address, boundary=PAGE),
    "guest_at": values.read_guest_at,
    "owner": values.read_name,
    "borrowers": values.read_words,
}
SHARED_EXAMPLES = {**EXAMPLES, "name": 'name = "ring"'}

HYPERVISOR: Mapping[str, Reader] = {
    "command_line": values.read_command_line,
    "static_heap": _unread,
    "console_input": values.read_name,
}

BOARD: Mapping[str, Reader] = {
    "tree": values.read_file,
    "hypervisor": values.read_file,
    "llc_colors": values.read_color_count,
}
