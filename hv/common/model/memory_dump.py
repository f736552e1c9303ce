"""Debug keys `m` and `u`: whose the machine's memory is, and on which NUMA nodes.

The records of the frame table are counted some at a time and without a lock: what changes hands meanwhile may be
counted twice or not at all.
"""

from hv.common.kernel.console import console
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.work import Progress
from hv.common.lib.number_list import spell
from hv.common.lib.text import TextBuffer
from hv.common.mm.frames import Bank, Use, frames
from hv.common.mm.heap import MAX_ORDER, heap
from hv.common.mm.node_report import show_node
from hv.common.mm.nodes import MAX_NODES, nodes
from hv.common.mm.types import DomId, Mfn
from hv.common.model.domain import MAX_DOMAINS, Domain, domains
from hv.common.model.domain import pool as domain_pool
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import pool as vcpu_pool
from hv.config import CONFIG_LLC_COLORING
from hv.lang import Final, array, bounded, u32, u64

if CONFIG_LLC_COLORING:
    from hv.common.mm.coloring import coloring

AT_ONCE: Final = 1024  # records in a step

TEXT: Final = 512
OWNERS_ON_NODES: Final = MAX_DOMAINS * MAX_NODES

COUNTING: Final[u32] = 0  # what `Output.part` is while the frames are counted; then the number of the line
FIRST_DOMAIN: Final[u32] = 2


class Census:
    """Frames by what they are used for."""

    free: u32
    taken: u32  # by the hypervisor: its heap's blocks that are handed out
    reserved: u32
    owned: array[u32, MAX_DOMAINS]  # by the domain in this place of the table
    on_node: array[u32, OWNERS_ON_NODES]  # of it, by nodes
    strays: array[u32, MAX_DOMAINS]  # of it, those that have none of its colours
    others: u32  # of domains that are in it no more
    owners: array[DomId, MAX_DOMAINS]
    present: array[bool, MAX_DOMAINS]

    def begin(self) -> None:
        self.free = 0
        self.taken = 0
        self.reserved = 0
        self.others = 0
        for slot in range(MAX_DOMAINS):
            domain = domains.at(slot)
            self.owned[slot] = 0
            self.strays[slot] = 0
            for node in range(MAX_NODES):
                self.on_node[slot * MAX_NODES + node] = 0
            self.present[slot] = domain is not None
            if domain is not None:
                self.owners[slot] = domain.id
                domain.put()

    def count(self, bank: Bank, offset: u32) -> u32:
        """Counts a record and those that go with it. Returns how many they are."""
        frame = bank.record(offset)
        block = u32(1) << min(u32(frame.order), MAX_ORDER)
        if frame.used_as(Use.FREE):
            self.free += block
            return block
        if frame.used_as(Use.TAKEN):
            self.taken += block
            return block
        if frame.used_as(Use.OWNED):
            self._count_owned(frame.owner, bank, offset)
        else:
            self.reserved += 1
        return 1

    def _count_owned(self, owner: DomId, bank: Bank, offset: u32) -> None:
        for slot in range(MAX_DOMAINS):
            if self.present[slot] and self.owners[slot] == owner:
                self.owned[slot] += 1
                self.on_node[slot * MAX_NODES + bank.node] += 1
                if CONFIG_LLC_COLORING and is_stray(slot, Mfn(bank.start + u64(offset))):
                    self.strays[slot] += 1
                return
        self.others += 1


census: Final = Census()

if CONFIG_LLC_COLORING:

    def is_stray(slot: u32, mfn: Mfn) -> bool:
        """Whether the frame has none of the colours that the domain in this place of the table has."""
        domain = domains.at(slot)
        if domain is None:
            return False
        colors = domain.config.colors
        stray = colors is not None and coloring.of(mfn) not in colors
        domain.put()
        return stray

    def show_colors(slot: u32, domain: Domain) -> None:
        colors = domain.config.colors
        if colors is not None:
            text = TextBuffer[TEXT]()
            spell(colors.members, text)
            strays = census.strays[slot]
            console.print(f"    {census.owned[slot] - strays} of colours {text.text}, {strays} of others")


@keys.entry(character="m", help="shows whose the memory is", shows=True)
def show_memory(output: Output) -> Progress:
    if output.part == COUNTING:
        count_some(output)
        return Progress.MORE
    if output.part == 1:
        console.print(
            f"memory: {frames.frames} frames of 4 KiB in {frames.bank_count} banks: {census.free} free, "
            f"{census.taken} taken by the hypervisor, {census.reserved} never on the heap"
        )
    elif output.part - FIRST_DOMAIN < MAX_DOMAINS:
        show_domain(output.part - FIRST_DOMAIN)
    else:
        if census.others != 0:
            console.print(f"  {census.others} frames of domains that are gone")
        console.print(f"  {domain_pool.used} domains of {domain_pool.stride} bytes")
        console.print(f"  {vcpu_pool.used} vCPUs of {vcpu_pool.stride} bytes")
        return Progress.DONE
    output.part += 1
    return Progress.MORE


def count_some(output: Output) -> None:
    if output.row == 0:
        census.begin()
        output.row = 1  # the index of the first frame
    for _ in range(AT_ONCE):
        if output.row > frames.frames:
            output.part = 1
            return
        bank = frames.bank_at(output.row)
        output.row += census.count(bank, output.row - bank.first)


def show_domain(slot: u32) -> None:
    domain = domains.at(slot)
    if domain is None:
        return
    if counted(slot, domain):
        tables = DomainMemory.of(domain).p2m.tables
        console.print(
            f"  d{domain.id} {domain.name}: {census.owned[slot]} frames, "
            f"{tables.used} of at most {tables.limit} frames of tables"
        )
        if CONFIG_LLC_COLORING:
            show_colors(slot, domain)
    domain.put()


def counted(slot: u32, domain: Domain) -> bool:
    """Whether it is the domain that was there when the counting began."""
    return census.present[slot] and census.owners[slot] == domain.id


@keys.entry(character="u", help="shows the NUMA nodes, and the domains' memory on them", shows=True)
def show_nodes(output: Output) -> Progress:
    """`output.part` counts nodes once the frames are counted, and domains behind them."""
    if output.part == COUNTING:
        count_some(output)
        return Progress.MORE
    at = output.part - 1
    if at < nodes.count:
        show_node(at)
        if at < heap.zone_count:
            console.print(f"  {heap.zones[at].free_frames} frames are free")
    elif at - nodes.count < MAX_DOMAINS:
        show_domain_on_nodes(at - nodes.count)
    else:
        return Progress.DONE
    output.part += 1
    return Progress.MORE


def show_domain_on_nodes(slot: u32) -> None:
    domain = domains.at(slot)
    if domain is None:
        return
    if counted(slot, domain):
        text = TextBuffer[TEXT]()
        text.write(
            f"d{domain.id} {domain.name}: memory of node {DomainMemory.of(domain).p2m.tables.node} for preference"
        )
        for node in bounded(nodes.count, MAX_NODES):
            owned = census.on_node[slot * MAX_NODES + node]
            if owned != 0:
                text.write(f", {owned} frames on node {node}")
        console.print(f"{text.text}")
    domain.put()
