"""Self-test of the memory of domains that have colours: each is built up to its kernel, looked at, and taken apart."""

from hv.arch import poll_interrupts
from hv.common.builder.construct import Phase
from hv.common.builder.description import Description, descriptions
from hv.common.builder.lifecycle import Life, Stage
from hv.common.kernel.selftest import check, fail, selftests, skip
from hv.common.kernel.work import Progress
from hv.common.mm.coloring import coloring
from hv.common.mm.colors import MAX_COLORS
from hv.common.mm.frames import Use, frames
from hv.common.mm.p2m import GuestKind, leaf_rest
from hv.common.mm.types import DomId, Gfn
from hv.common.model.domain import DomainState
from hv.common.model.memory import DomainMemory
from hv.lang import Final, array, u8, u32, u64, unbounded

life: Final = Life()


class Shares:
    """Frames of the domain by colours."""

    frames: array[u64, MAX_COLORS]


@selftests.entry(name="colors")
def colors() -> None:
    """Each frame of a domain that has colours has one of them, all of them get their share, a new life has as much, and
    nothing is left of either.
    """
    any = False
    for description in descriptions:
        if not description.colors.is_empty:
            any = True
            build(description)
            build(description)
    if not any:
        skip("no domain has colours")


def build(description: Description) -> None:
    life.description = description
    if not life.begin():
        fail(f"{description.name} cannot be begun")
        return
    done = step_until_memory()
    if done:
        look(description)
        life.domain.advance(DomainState.DYING)
        life.stage = Stage.EMPTYING
    else:
        fail(f"{description.name} does not get its memory")
    step_to_end()
    check(owned_by(description.id) == 0, f"{description.name} is gone, and frames are still its own")


@unbounded("a domain gets its memory, or is refused")
def step_until_memory() -> bool:
    while life.stage == Stage.BUILDING and u8(life.construction.phase) <= u8(Phase.MEMORY):
        life.step()
        poll_interrupts()
    return life.stage == Stage.BUILDING


@unbounded("each domain's steps come to an end")
def step_to_end() -> None:
    while life.step() != Progress.DONE:
        poll_interrupts()


@unbounded("each step looks at what follows")
def look(description: Description) -> None:
    """At the whole physical map."""
    p2m = DomainMemory.of(life.domain).p2m
    shares = Shares()
    at = Gfn(0)
    total: u64 = 0
    while at <= p2m.highest:
        found = p2m.lookup(at)
        if found.kind == GuestKind.RAM:
            color = coloring.of(found.mfn)
            check(found.order == 0, f"{description.name} has a block of order {found.order} at {at:#x}")
            check(color in description.colors, f"{description.name} has frame {found.mfn:#x} of colour {color}")
            shares.frames[color] += 1
            total += 1
        at = Gfn(at + leaf_rest(at, found.order))
        poll_interrupts()
    check(total == description.frames, f"{description.name} has {total} frames of {description.frames}")
    for color in description.colors.members:
        check(shares.frames[color] != 0, f"{description.name} has no frame of colour {color}")


@unbounded("each frame is looked at once")
def owned_by(id: DomId) -> u64:
    total: u64 = 0
    for bank in frames:
        offset: u32 = 0
        while offset != bank.frames:
            frame = bank.record(offset)
            if frame.used_as(Use.OWNED) and frame.owner == id:
                total += 1
            offset += 1
    return total
