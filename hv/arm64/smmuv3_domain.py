"""A domain's part in the machine's SMMUs: the tables that its devices walk, and the streams that do.

`DomainStreams.count` grows when the entry behind it is complete: who tells of a fault reads without a lock. What an
entry holds is changed by who builds the domain or takes it apart. Tables are `P2m.lock`'s.
"""

from hv.arch import clean_to_memory, direct_address, store_entry
from hv.arm64.smmuv3_layout import (
    AS_IT_COMES,
    CONFIG_STAGE1,
    CONFIG_STAGE2,
    ENTRY_SIZE,
    GROUP,
    GROUP_ORDER,
    ContextHead,
    StreamAttributes,
    StreamHead,
    StreamStage2,
)
from hv.arm64.smmuv3_stage1 import MAIR, DeviceStage1
from hv.arm64.smmuv3_streams import StreamEntry, fill_group, new_group
from hv.arm64.smmuv3_tables import OwnTables
from hv.arm64.smmuv3_units import MOST_UNITS, Unit, units
from hv.arm64.stage2 import GUEST_ADDRESS_BITS, Stage2, vtcr_for
from hv.common.iommu.ranges import MAX_RANGES, StreamRange
from hv.common.kernel.log import RateLimit
from hv.common.kernel.time import SECOND, Ns
from hv.common.mm.device_maps import device_maps
from hv.common.mm.heap import heap
from hv.common.mm.types import Mfn, Paddr, paddr_of
from hv.common.model.domain import Domain
from hv.common.model.memory import DomainMemory
from hv.lang import Atomic, Embedded, Errno, Extension, Final, array, bounded, raises, u16, u32, u64

GROUPS_PER_STEP: Final = 16
WRITE_BACK: Final[u64] = 1


class ToldFault:
    """What was told last of a domain's devices: whoever makes one fault makes many like it."""

    page: u64
    stream: u32
    kind: u32
    writes: bool
    until: Ns  # what is like it is not told

    def is_new(self, page: u64, stream: u32, kind: u32, writes: bool, at: Ns) -> bool:
        """Whether a fault is to be told; then it is the last."""
        like_it = self.page == page and self.stream == stream and self.kind == kind and self.writes == writes
        if like_it and at < self.until:
            return False
        self.page = page
        self.stream = stream
        self.kind = kind
        self.writes = writes
        self.until = Ns(at + SECOND)
        return True


class Attachment:
    streams: StreamRange
    done: u32  # of them, from the first
    whole: Mfn  # the table for groups of which it has all; 0: none is needed so far


class DomainStreams(Extension[Domain]):
    tag: u16  # 0: the domain has not joined
    context: Mfn  # of stage 1: a descriptor for each unit; 0: none
    stage1: Embedded[OwnTables[DeviceStage1]]
    stage2: Embedded[OwnTables[Stage2]]
    attached: array[Attachment, MAX_RANGES]
    count: Atomic[u32]
    complaints: RateLimit
    told: Embedded[ToldFault]

    @raises
    def join(self, owner: Domain, wanted: u32) -> None:
        """ENOMEM."""
        p2m = DomainMemory.of(owner).p2m
        if not units.stage2:
            self.context = heap.allocate_zeroed(0)
            try:
                self.stage1.init(owner.vmid, p2m.tables.limit, p2m.tables.node)
            except Errno:
                heap.free(self.context, 0)
                self.context = Mfn(0)
                raise
            self._write_contexts(owner)
        elif not units.shares:
            self.stage2.init(owner.vmid, p2m.tables.limit, p2m.tables.node)
        with p2m.lock:
            self.tag = owner.vmid
            units.holders[self.tag].store(wanted)
            device_maps.begin(self.tag, not units.shares)

    @raises
    def attach(self, owner: Domain, streams: StreamRange, done: u32) -> u32:
        """As `IommuMachine.attach`."""
        attachment = self._attachment(streams, done)
        unit = units.table[streams.unit]
        entry = self._entry(owner, streams.unit)
        added: u32 = 0
        for _ in range(GROUPS_PER_STEP):
            first = streams.first + attachment.done
            count = min(GROUP - first % GROUP, streams.count - attachment.done)
            if count == 0:
                break
            if count == GROUP and unit.streams.is_free(first):
                self._attach_whole(unit, attachment, first, entry)
            else:
                attach_some(unit, first, count, entry)
            attachment.done += count
            added += count
        return added

    def owns(self, unit: u32, stream: u32) -> bool:
        """Whether the stream is one of those that the domain has, or is about to have or to lose."""
        for i in bounded(self.count.load_acquire(), MAX_RANGES):
            streams = self.attached[i].streams
            if streams.unit == unit and u64(streams.first) <= u64(stream) < streams.end:
                return True
        return False

    def teardown(self, owner: Domain) -> None:
        for _ in range(LAST_STEPS):
            if self.teardown_step(owner):
                break
        assert self.tag == 0, "a domain goes whose streams are still attached"

    def teardown_step(self, owner: Domain) -> bool:
        """Streams go back to being aborted, one range after another; then their tables go."""
        if self.tag == 0:
            return True
        count = self.count.load_relaxed()
        if count != 0:
            if self._detach_step(self.attached[count - 1]):
                self.count.store(count - 1)
            return False
        if device_maps.are_used(self.tag):
            self._leave(owner)
            return False
        if not units.stage2:
            if not self.stage1.teardown_step():
                return False
            heap.free(self.context, 0)
        elif not units.shares and not self.stage2.teardown_step():
            return False
        self.tag = 0
        return True

    # Streams

    @raises
    def _attachment(self, streams: StreamRange, done: u32) -> Attachment:
        """The one that the streams are kept in, which is the last. EBUSY: there are too many. ENODEV: the unit does not
        work."""
        count = self.count.load_relaxed()
        if not units.table[streams.unit].on:
            raise Errno.ENODEV
        if done != 0:
            return self.attached[count - 1]
        if count == MAX_RANGES:
            raise Errno.EBUSY
        attachment = self.attached[count]
        attachment.streams = streams
        attachment.done = 0
        attachment.whole = Mfn(0)
        self.count.store_release(count + 1)
        return attachment

    @raises
    def _attach_whole(self, unit: Unit, attachment: Attachment, first: u32, entry: StreamEntry) -> None:
        if attachment.whole == 0:
            attachment.whole = new_group(unit.idr0.coherent)
            fill_group(attachment.whole, entry, unit.idr0.coherent)
        with unit.lock as held:
            unit.streams.link(first, attachment.whole)
            unit.reread(held, first)
            unit.complete(held)

    def _detach_step(self, attachment: Attachment) -> bool:
        """True: none of these is left."""
        unit = units.table[attachment.streams.unit]
        for _ in range(GROUPS_PER_STEP):
            if attachment.done == 0:
                if attachment.whole != 0:
                    heap.free(attachment.whole, GROUP_ORDER)
                return True
            last = attachment.streams.first + attachment.done - 1
            count = min(last % GROUP + 1, attachment.done)
            detach(unit, last + 1 - count, count, attachment.whole)
            attachment.done -= count
        return False

    def _leave(self, owner: Domain) -> None:
        """No stream leads to the tables any more: what is remembered of them goes."""
        for i in bounded(units.count, MOST_UNITS):
            if units.holders[self.tag].load() >> i & 1 != 0:
                unit = units.table[i]
                with unit.lock as held:
                    if unit.on:
                        unit.forget_all(held, self.tag)
                        unit.complete(held)
        with DomainMemory.of(owner).p2m.lock:
            device_maps.end(self.tag)
            units.holders[self.tag].store(0)

    # What the hardware reads

    def _entry(self, owner: Domain, number: u32) -> StreamEntry:
        if not units.stage2:
            attributes = StreamAttributes(shareability=AS_IT_COMES)
            if units.table[number].idr0.coherent:
                attributes.context_inner = WRITE_BACK
                attributes.context_outer = WRITE_BACK
                attributes.context_shareability = u64(3)
            head = StreamHead(valid=True, config=CONFIG_STAGE1).raw | self._context_at(number)
            return StreamEntry(head, attributes.raw, 0, 0)
        root = DomainMemory.of(owner).p2m.root if units.shares else self.stage2.root
        walks = vtcr_for(units.table[number].idr5.output_size, False)
        cached = u64(units.snoop)
        stage2 = StreamStage2(
            vmid=u64(owner.vmid),
            t0sz=walks.t0sz,
            start=walks.start,
            inner=cached,
            outer=cached,
            shareability=u64(3) if units.snoop else u64(2),
            physical_size=walks.physical_size,
            aarch64=True,
            no_access_flag=True,
            records=True,
        )
        head = StreamHead(valid=True, config=CONFIG_STAGE2).raw
        return StreamEntry(head, StreamAttributes(shareability=AS_IT_COMES).raw, stage2.raw, root)

    def _context_at(self, number: u32) -> Paddr:
        return Paddr(paddr_of(self.context) + u64(number) * ENTRY_SIZE)

    def _write_contexts(self, owner: Domain) -> None:
        cached = u64(units.snoop)
        for i in bounded(units.count, MOST_UNITS):
            at = direct_address(self._context_at(i))
            head = ContextHead(
                t0sz=64 - u64(GUEST_ADDRESS_BITS),
                inner=cached,
                outer=cached,
                shareability=u64(3) if units.snoop else u64(2),
                no_upper=True,
                valid=True,
                physical_size=u64(min(units.table[i].idr5.output_size, 5)),
                no_access_flag=True,
                aarch64=True,
                records=True,
                aborts=True,
                own_asid=True,
                asid=u64(owner.vmid),
            )
            store_entry(at, head.raw)
            store_entry(at + 8, self.stage1.root)
            store_entry(at + 24, MAIR)
            if not units.table[i].idr0.coherent:
                clean_to_memory(at, ENTRY_SIZE)


LAST_STEPS: Final = 1 << 20


@raises
def attach_some(unit: Unit, first: u32, count: u32, entry: StreamEntry) -> None:
    """Of one group. ENOMEM."""
    room = unit.streams.make_room(first)
    with unit.lock as held:
        if unit.streams.is_free(first):
            unit.streams.link(first, room)
            room = Mfn(0)
        for i in bounded(count, GROUP):
            unit.streams.set(first + i, entry)
        unit.reread(held, first)
        unit.complete(held)
    if room != 0:
        heap.free(room, GROUP_ORDER)  # a domain that another CPU builds was faster


def detach(unit: Unit, first: u32, count: u32, whole: Mfn) -> None:
    """Of one group. `whole` is the domain's own table, which the group may have."""
    with unit.lock as held:
        if unit.streams.has_table(first, whole):
            unit.streams.unlink(first)
        else:
            for i in bounded(count, GROUP):
                unit.streams.clear(first + i)
        if unit.on:
            unit.reread(held, first)
            unit.complete(held)
