"""Mistakes of programs with several CPUs, for the tests that must find them, each beside what is right.

`Door` lets one CPU in at a time, and counts how often two were inside. `Mailbox` hands over two words that belong
together. `Tally` counts.
"""

from hv.arch import relax
from hv.lang import Atomic, Final, bounded, u32, u64, unbounded
from hv.sim.team import meet

MANY: Final[u32] = 1_000_000


class Door:
    taken: Atomic[u32]
    inside: Atomic[u32]
    met: Atomic[u32]  # how often a CPU found another inside


class Mailbox:
    first: u64
    second: u64
    full: Atomic[u32]
    torn: u64


class Tally:
    taken: Atomic[u32]
    count: u64


door: Final = Door()
mailbox: Final = Mailbox()
tally: Final = Tally()


@unbounded("whoever is inside leaves")
def _enter_looking_first() -> None:
    """Looks, then takes: two may look before one takes."""
    while door.taken.load() != 0:
        relax()
    door.taken.store(1)


@unbounded("whoever is inside leaves")
def _enter_at_once() -> None:
    while not door.taken.compare_exchange(0, 1):
        relax()


def _meet() -> None:
    if door.inside.add(1) != 0:
        door.met.add(1)
    door.inside.sub(1)
    door.taken.store(0)


def through_a_broken_door(rounds: u32) -> None:
    meet()
    for _ in bounded(rounds, MANY):
        _enter_looking_first()
        _meet()


def through_a_door(rounds: u32) -> None:
    meet()
    for _ in bounded(rounds, MANY):
        _enter_at_once()
        _meet()


@unbounded("the other CPU takes each letter")
def post(rounds: u32, relaxed: bool) -> None:
    """Relaxed: nothing orders the words before the flag that says they are there."""
    meet()
    for i in bounded(rounds, MANY):
        while mailbox.full.load_acquire() != 0:
            relax()
        mailbox.first = u64(i)
        mailbox.second = u64(i)
        if relaxed:
            mailbox.full.store_relaxed(1)
        else:
            mailbox.full.store_release(1)


@unbounded("the other CPU posts each letter")
def collect(rounds: u32) -> None:
    meet()
    for _ in bounded(rounds, MANY):
        while mailbox.full.load_acquire() == 0:
            relax()
        if mailbox.first != mailbox.second:
            mailbox.torn += 1
        mailbox.full.store_release(0)


def count_without_a_lock(rounds: u32) -> None:
    meet()
    for _ in bounded(rounds, MANY):
        if tally.taken.load_relaxed() == 0:  # an atomic access between two additions: the loop is not one addition
            tally.count += 1


@unbounded("whoever counts ends")
def count_with_a_lock(rounds: u32) -> None:
    meet()
    for _ in bounded(rounds, MANY):
        while not tally.taken.compare_exchange(0, 1):
            relax()
        tally.count += 1
        tally.taken.store_release(0)


@unbounded("never ends: nobody opens it")
def wait_for_ever() -> None:
    door.taken.store(1)
    _enter_at_once()
