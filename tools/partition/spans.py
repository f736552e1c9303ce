"""Ranges of the machine's memory that a file names: none may lie on another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tools.partition.machine import Machine, Region
from tools.partition.mistakes import Mistakes
from tools.partition.model import Domain, SharedMemory, Span


def spans_of(domains: Iterable[Domain], shared: Iterable[SharedMemory], heap: Iterable[Span]) -> Iterator[Region]:
    """All ranges of memory with a place of their own."""
    for domain in domains:
        for span in domain.static_memory:
            yield Region(span.start, span.end, f'the memory of domain "{domain.name}"', span.line("at"))
    for region in shared:
        if region.at is not None:
            yield Region(region.at, region.at + region.size, f'the shared memory "{region.name}"', region.line("at"))
    for span in heap:
        yield Region(span.start, span.end, "the hypervisor's heap", span.line("at"))


def check_spans(
    domains: Sequence[Domain], shared: Sequence[SharedMemory], heap: Sequence[Span], mistakes: Mistakes
) -> None:
    """Against each other."""
    farthest: Region | None = None  # of those before, the one that reaches farthest
    for span in sorted(spans_of(domains, shared, heap)):
        if farthest is not None and span.start < farthest.end:
            first, second = sorted((farthest, span), key=lambda each: each.line)
            what = f"{second} for {second.what} overlaps {first} for {first.what} (line {first.line})"
            mistakes.add(second.line, what, f"write {first.end:#x}, or another place that is free")
        if farthest is None or span.end > farthest.end:
            farthest = span


def check_in_memory(spans: Iterable[Region], machine: Machine, mistakes: Mistakes) -> None:
    """Against the machine."""
    for span in spans:
        bank = next((bank for bank in machine.banks if bank.start <= span.start and span.end <= bank.end), None)
        if bank is None:
            where = " or ".join(map(str, machine.banks))
            mistakes.add(
                span.line, f"{span} for {span.what} is not in the machine's memory", f"write a place in {where}"
            )
            continue
        reserved = next((each for each in machine.reserved if each.overlaps(span.start, span.size)), None)
        if reserved is not None:
            what = f"{span} for {span.what} is where {reserved.what} lies ({reserved})"
            mistakes.add(span.line, what, f"write another place in {bank}")
