"""Building a domain from its description, in steps: vCPUs, memory, devices, what it shares, kernel, ramdisk, devices'
streams, device tree, start.

Memory comes in the largest blocks that the guest's map and the heap allow, in single frames when it is to have
colours, and is mapped with the largest leaves.
Each byte of it is written once: cleared, or copied from a module. A guest begins with its caches off, so all of it is
cleaned to memory.

No step takes more than 100,000 instructions, but the first that writes the device tree, which a reset finds ready. A
step that raises leaves a domain that can be taken apart.
"""

from hv.arch import clean_to_memory, copy_bytes, direct_address, sync_instructions, zero_to_memory
from hv.common.builder.description import MAX_SEGMENTS, Description
from hv.common.builder.loader import Placement, loading
from hv.common.builder.memory_map import frames_in_bank, gfn_at
from hv.common.builder.mistake import Mistake
from hv.common.builder.module import Module
from hv.common.builder.share_mapping import map_share
from hv.common.kernel.cpus import online
from hv.common.lib.bitmap import Bitmap
from hv.common.lib.span import Bytes
from hv.common.mm.frames import frames
from hv.common.mm.guest_copy import copy_to_guest
from hv.common.mm.heap import heap, largest_block
from hv.common.mm.nodes import MAX_NODES, CpuNode, nodes
from hv.common.mm.ownership import put_frames, take_set_aside
from hv.common.mm.p2m import GuestKind, P2m, leaf_rest
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Gaddr, Gfn, Mfn, gaddr_of, gfn_of, order_for, paddr_of
from hv.common.model.domain import Domain, DomainConfig, DomainState, Privilege, domains
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import CPU_WORDS, Vcpus, architecture
from hv.common.sched.core import add_vcpu, vcpu_up
from hv.common.sched.processor import runs_vcpus
from hv.config import CONFIG_PASSTHROUGH, CONFIG_SMMUV3
from hv.lang import Embedded, Errno, Final, U8Enum, array, bounded, raises, u32, u64

if CONFIG_PASSTHROUGH:
    from hv.common.builder.device_assignment import assign_interrupts, map_window
if CONFIG_SMMUV3:
    from hv.common.builder.stream_assignment import attach_streams, join_iommus

CLEARED_PER_STEP: Final[u64] = 128  # frames
COPIED_PER_STEP: Final[u64] = 0x4_0000  # bytes
BLOCKS_PER_STEP: Final = 32
COPIES_PER_STEP: Final = 64
VCPUS_PER_STEP: Final = 4


class Phase(U8Enum):
    VCPUS = 0
    MEMORY = 1
    DEVICES = 2
    SHARES = 3
    KERNEL = 4
    RAMDISK = 5
    STREAMS = 6
    TREE = 7
    BUILT = 8


class Block:
    """A block of memory on its way to the guest."""

    mfn: Mfn
    gfn: Gfn
    frames: u64  # 0: there is none
    order: u32
    ready: u64  # frames of it that are cleared, and the domain's


class VcpusByNode:
    counts: array[u32, MAX_NODES]


class Construction:
    description: Description
    domain: Domain
    mistake: Embedded[Mistake]
    placement: Placement
    phase: Phase
    item: u32  # the segment that is being copied, or the window or shared memory that is being mapped
    done: u64  # frames of memory, or of that, that are mapped; or bytes of a module that are copied
    block: Embedded[Block]
    waits: bool  # for a frame to which somebody still refers
    tree: Module  # the guest's device tree, once it has been written

    @raises
    def begin(self, description: Description) -> None:
        """Makes the domain. ENODEV, EINVAL, ENOMEM, EEXIST, ENOSPC, and what its extensions raise: the mistake tells;
        there is none.
        """
        self.description = description
        hindrance = architecture.vcpus.hindrance()
        if hindrance != "":
            self.mistake.tell(f"{hindrance}")
            raise Errno.ENODEV
        most = architecture.vcpus.most_vcpus()
        if description.vcpus > most:
            self.mistake.wrong("", "cpus", f"is {description.vcpus}: a domain on this machine has 1 to {most}")
            raise Errno.EINVAL
        free = heap.free_frames
        own = description.set_aside
        if own.count == 0 and description.frames > free:
            self.mistake.wrong("", "memory", f"asks for {description.frames * 4} KiB, and {free * 4} KiB are free")
            raise Errno.ENOMEM
        self.placement = loading.loader.place(description)
        config = DomainConfig(
            name=description.name,
            frames=description.frames,
            vcpus=description.vcpus,
            uart=description.uart,
            spis=description.spis,
            map_tables=description.devices.map_tables + description.shares.map_tables,
            set_aside=own if own.count != 0 else None,
            colors=None if description.colors.is_empty else description.colors,
            privileges=Privilege(0),
        )
        try:
            self.domain = domains.create(description.id, config)
        except Errno as e:
            self.mistake.tell(f"it cannot be set up ({e.name})")
            raise
        self.block.frames = 0
        self._next(Phase.VCPUS)

    @property
    def built(self) -> bool:
        return self.phase == Phase.BUILT

    @raises
    def step(self) -> bool:
        """Does some of it. True: it is built, and `start` comes next. When it `waits`, the next step is for later. What
        it raises, the mistake tells."""
        self.waits = False
        match self.phase:
            case Phase.VCPUS:
                self._add_vcpus()
            case Phase.MEMORY:
                self._add_memory()
            case Phase.DEVICES:
                self._add_devices()
            case Phase.SHARES:
                self._add_shares()
            case Phase.KERNEL:
                self._copy_segment()
            case Phase.RAMDISK:
                ramdisk = self.description.ramdisk
                if self._copy(ramdisk.contents, self.placement.ramdisk):
                    self._next(Phase.STREAMS)
            case Phase.STREAMS:
                self._attach_streams()
            case Phase.TREE:
                self._put_tree()
                self._next(Phase.BUILT)
            case Phase.BUILT:
                return True
        return self.built

    @raises
    def start(self) -> None:
        """Lets it run, and end: on another CPU it may have done both when this returns."""
        vcpu = Vcpus.of(self.domain).find(0)
        assert vcpu is not None, "a domain without vCPUs"
        self.domain.advance(DomainState.RUNNING)
        vcpu_up(vcpu, self.placement.kernel, self.placement.tree)

    # The steps

    @raises
    def _add_vcpus(self) -> None:
        for _ in range(VCPUS_PER_STEP):
            id = Vcpus.of(self.domain).count
            if id == self.description.vcpus:
                self._p2m().tables.node = home_of(self.domain)
                if CONFIG_SMMUV3:
                    join_iommus(self.domain, self.description.devices, self.mistake)
                self._next(Phase.MEMORY)
                return
            self._add_vcpu(id)

    @raises
    def _add_vcpu(self, id: u32) -> None:
        affinity = self.description.affinity[id]
        if not affinity.is_empty() and not can_run(affinity):
            self.mistake.tell(f'property "hard-affinity" of vCPU {id} names only CPUs that run no vCPUs')
            raise Errno.ENODEV
        try:
            add_vcpu(self.domain, id, affinity)
        except Errno as e:
            self.mistake.wrong("", "cpus", f"is {self.description.vcpus}: vCPU {id} cannot be made ({e.name})")
            raise

    @raises
    def _add_memory(self) -> None:
        block = self.block
        left = CLEARED_PER_STEP
        for _ in range(BLOCKS_PER_STEP):
            if block.frames == 0:
                if self.done == self.description.frames:
                    self._next(Phase.DEVICES)
                    return
                self._begin_block()
            count = min(block.frames - block.ready, left)
            owned = self._own(Mfn(block.mfn + block.ready), count)
            self._clear(Gfn(block.gfn + block.ready), Mfn(block.mfn + block.ready), owned)
            block.ready += owned
            left -= owned
            self.waits = owned != count
            if block.ready == block.frames:
                self._map_block()
            if left == 0 or self.waits:
                return

    def _own(self, mfn: Mfn, count: u64) -> u64:
        """Makes frames the domain's, up to the first that is set aside for it and to which somebody still refers from
        its last life. Returns how many."""
        set_aside = self.description.set_aside.count != 0
        bank = frames.bank_of(mfn)
        first = bank.offset_of(mfn)
        for i in bounded(u32(count), CLEARED_PER_STEP):
            if not set_aside:
                bank.record(first + i).own(self.domain.id)
            elif not take_set_aside(bank.record(first + i), self.domain.id):
                return u64(i)
        return count

    @raises
    def _begin_block(self) -> None:
        """Takes the largest block that can stand next in the map, from what is set aside for the domain or from the
        heap."""
        own = self.description.set_aside
        if own.count != 0:
            run = own.run_from(self.done)
            together = min(run.frames, frames.bank_of(run.mfn).end - run.mfn)
            self._begin(run.gfn, run.mfn, largest_block(u64(run.gfn) | u64(run.mfn), together))
            return
        gfn = gfn_at(self.done)
        largest = largest_block(gfn, frames_in_bank(self.done, self.description.frames))
        try:
            found = DomainMemory.of(self.domain).take_block(self.domain, largest)
        except Errno:
            self._out_of_memory()
            raise
        self._begin(gfn, found.mfn, found.order)

    def _begin(self, gfn: Gfn, mfn: Mfn, order: u32) -> None:
        self.block.mfn = mfn
        self.block.gfn = gfn
        self.block.order = order
        self.block.frames = u64(1) << order
        self.block.ready = 0

    def _clear(self, gfn: Gfn, mfn: Mfn, count: u64) -> None:
        """Clears memory that is mapped next, unless a module is copied over all of it."""
        if count == 0:
            return
        at = gaddr_of(gfn)
        end = Gaddr(at + (count << PAGE_SHIFT))
        for i in bounded(self.description.segment_count, MAX_SEGMENTS):
            segment = self.description.segments[i]
            if covers(Gaddr(self.description.bank(0).start + segment.to), segment.contents.length, at, end):
                return
        if covers(self.placement.ramdisk, self.description.ramdisk.bytes, at, end):
            return
        zero_to_memory(direct_address(paddr_of(mfn)), count << PAGE_SHIFT)

    @raises
    def _map_block(self) -> None:
        block = self.block
        count = block.frames
        block.frames = 0
        try:
            self._p2m().add(block.gfn, block.mfn, block.order, GuestKind.RAM).flush()
        except Errno:
            put_frames(block.mfn, count)
            self._out_of_memory()
            raise
        self.done += count

    @raises
    def _add_devices(self) -> None:
        """A run of a window; at last the interrupts."""
        if CONFIG_PASSTHROUGH:
            devices = self.description.devices
            if self.item != devices.window_count:
                self.done += map_window(self._p2m(), devices, self.item, self.done, self.mistake)
                if self.done == devices.windows[self.item].frames:
                    self.item += 1
                    self.done = 0
                return
            assign_interrupts(self.domain, devices, self.mistake)
        self._next(Phase.SHARES)

    @raises
    def _add_shares(self) -> None:
        """Some frames of a region."""
        shares = self.description.shares
        if self.item == shares.count:
            self._next(Phase.KERNEL)
            return
        share = shares.table[self.item]
        self.done += map_share(self._p2m(), share, self.done, self.mistake)
        if self.done << PAGE_SHIFT == share.bytes:
            self.item += 1
            self.done = 0

    @raises
    def _copy_segment(self) -> None:
        if self.item == self.description.segment_count:
            self._next(Phase.RAMDISK)
            return
        segment = self.description.segments[self.item]
        if self._copy(segment.contents, Gaddr(self.description.bank(0).start + segment.to)):
            self.item += 1
            self.done = 0

    @raises
    def _copy(self, contents: Bytes, to: Gaddr) -> bool:
        """Copies the next of the bytes. True: all have been copied."""
        left = COPIED_PER_STEP
        for _ in range(COPIES_PER_STEP):
            if self.done == contents.length:
                return True
            left -= self._copy_part(contents, to, left)
            if left == 0:
                break
        return False

    def _copy_part(self, contents: Bytes, to: Gaddr, most: u64) -> u64:
        """Copies so many of the next bytes at most, up to the end of a leaf of the map. Returns how many."""
        at = Gaddr(to + self.done)
        found = self._p2m().lookup(gfn_of(at))
        assert found.kind == GuestKind.RAM, "a file has a place outside the domain's memory"
        mapped = (leaf_rest(gfn_of(at), found.order) << PAGE_SHIFT) - at % PAGE_SIZE
        count = min(contents.length - self.done, min(mapped, most))
        target = direct_address(paddr_of(found.mfn)) + at % PAGE_SIZE
        copy_bytes(target, contents.address + self.done, count)
        clean_to_memory(target, count)
        if self.done == 0:
            # What is cleaned to memory is beyond any fetch's cache: what is left is that the caches of instructions
            # forget what these frames held before, and they forget all at once.
            sync_instructions(target, min(count, PAGE_SIZE))
        self.done += count
        return count

    @raises
    def _attach_streams(self) -> None:
        """Some of a range. Last of all, since a device may still be at what it did for whoever had it before."""
        if CONFIG_SMMUV3:
            devices = self.description.devices
            if self.item != devices.stream_count:
                done = u32(self.done)
                self.done += u64(attach_streams(self.domain, devices, self.item, done, self.mistake))
                if self.done == u64(devices.streams[self.item].count):
                    self.item += 1
                    self.done = 0
                return
        self._next(Phase.TREE)

    @raises
    def _put_tree(self) -> None:
        try:
            if self.tree.bytes == 0:
                self._write_tree()
            copy_to_guest(self._p2m(), self.placement.tree, self.tree.contents.address, self.tree.bytes)
        except Errno as e:
            self.mistake.tell(f"what its kernel is told cannot be written ({e.name})")
            raise

    @raises
    def _write_tree(self) -> None:
        """Into memory that stays: the tree is the same after each reset."""
        order = order_for(loading.loader.room(self.description))
        with heap.allocated(order) as buffer:
            start = paddr_of(buffer.mfn)
            room = Bytes(direct_address(start), u64(PAGE_SIZE) << order)
            self.tree = Module(start, loading.loader.write(room, self.description, self.placement))
            buffer.keep()

    def _next(self, phase: Phase) -> None:
        self.phase = phase
        self.item = 0
        self.done = 0

    def _out_of_memory(self) -> None:
        kib = self.description.frames * 4
        where = "" if self.description.colors.is_empty else " of its colours"
        self.mistake.wrong("", "memory", f"asks for {kib} KiB{where}, and {self.done * 4} KiB could be given")

    def _p2m(self) -> P2m:
        return DomainMemory.of(self.domain).p2m


def home_of(domain: Domain) -> u32:
    """The NUMA node on whose CPUs most of a new domain's vCPUs begin; the first of several."""
    begin = VcpusByNode()
    for vcpu in Vcpus.of(domain):
        begin.counts[CpuNode.on(vcpu.processor).node] += 1
    best: u32 = 0
    for node in bounded(nodes.count, MAX_NODES):
        if begin.counts[node] > begin.counts[best]:
            best = node
    return best


def can_run(affinity: Bitmap[CPU_WORDS]) -> bool:
    """Whether one of the CPUs runs vCPUs."""
    for cpu in online:
        if affinity.test(cpu) and runs_vcpus(cpu):
            return True
    return False


def covers(to: Gaddr, bytes: u64, start: Gaddr, end: Gaddr) -> bool:
    """Whether what is copied there lies over all of start … end - 1."""
    return to <= start and end <= to + bytes
