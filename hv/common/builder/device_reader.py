"""Partial device trees: what devices a domain asks for, held against the machine, the guest's own map and all domains
that were accepted before.

Bindings: Xen, docs/misc/arm/passthrough.txt and passthrough-noiommu.txt, docs/misc/arm/device-tree/booting.txt. The
tree has a node /passthrough, which goes into the guest's tree with all below it, and /aliases, whose properties do. The
phandle of a node /gic stands for the guest's interrupt controller. Of a node below /passthrough:

- `xen,path` names the device in the machine's tree. What interrupts that one has, the domain gets, each under its own
  number: by `interrupts`, or as a bus by `interrupt-map`.
- `xen,reg` lists windows: physical address, size, the guest's address; of as many cells as the parent says.
- `xen,force-assign-without-iommu` is for a device that no IOMMU guards (stream_reader.py). Then `xen,path` may be
  missing.

The two come together otherwise. All three are left out of the guest's tree.
"""

from hv.arch import GuestFormat
from hv.common.builder.description import Description, descriptions
from hv.common.builder.device_machine import INTERRUPT_CELLS, DeviceMachine
from hv.common.builder.device_properties import FORCED, PATH, REG
from hv.common.builder.devices import (
    DEFAULT_CONTROLLER,
    MAX_INTERRUPTS,
    MAX_NODES,
    MAX_WINDOWS,
    DeviceInterrupt,
    Window,
    is_whole,
)
from hv.common.builder.guest_parts import guest_part, uart_interrupt
from hv.common.builder.mistake import Mistake
from hv.common.builder.module import Module
from hv.common.builder.references import check_references, find_below, greatest_phandle, parent_controller
from hv.common.builder.wanted import wanted_cell, wanted_name, wanted_property
from hv.common.drivers.devicetree import tree as machine_tree
from hv.common.lib.fdt import Fdt, Node, Property
from hv.common.mm.early import early
from hv.common.mm.types import PAGE_SHIFT, Gaddr, Paddr, gfn_of
from hv.config import CONFIG_SMMUV3
from hv.lang import Errno, Final, bounded, raises, u32, u64, unbounded

if CONFIG_SMMUV3:
    from hv.common.builder.stream_reader import stream_reader

LARGEST: Final[u64] = 0x1_0000  # bytes of a partial tree
MAX_PHANDLE: Final[u32] = 0xFFFF_FFFE
NAME_SHARE: Final[u64] = 8  # of the guest's tree's room, for the names of properties
PHYSICAL_END: Final[u64] = 1 << 48
MAX_ENTRIES: Final = 1 << 14  # of a property in so large a tree, in cells
EXTENDED: Final = "interrupts-extended"
MAP: Final = "interrupt-map"

partial: Final = Fdt()


class DeviceReader:
    """One domain's at a time."""

    mistake: Mistake
    machine: DeviceMachine
    description: Description

    @raises
    def read(self, mistake: Mistake, machine: DeviceMachine, child: Node, module: Module, into: Description) -> None:
        """The partial tree in a module, which the node `child` names. What the description says of memory, UART and
        shared interrupts has been read. EINVAL: the mistake tells what is wrong."""
        self.mistake = mistake
        self.machine = machine
        self.description = into
        top = self._open(child, module)
        self._choose_controller()
        for node in top.descendants():
            self._read_node(node)
        for node in top.descendants():
            self._check_interrupts(node)
            check_references(mistake, top, node, into.devices.controller)
        into.devices.tree = module
        into.devices.tree_room = u64(partial.structure.length) + NAME_SHARE * partial.strings.length

    @raises
    def _open(self, child: Node, module: Module) -> Node:
        if module.bytes > LARGEST:
            self.mistake.wrong(child.name, "reg", f"has {module.bytes} bytes: a partial tree has at most {LARGEST}")
            raise Errno.EINVAL
        try:
            partial.init(module.contents)
        except Errno:
            self.mistake.wrong(child.name, "reg", "leads to no flattened device tree")
            raise
        try:
            return partial.find("/passthrough")
        except Errno:
            self.mistake.tell(f"the partial tree of {child.name} has no node /passthrough")
            raise Errno.EINVAL from None

    @raises
    def _choose_controller(self) -> None:
        """Its phandle is the one that the tree's /gic has, or else one that nothing in it has."""
        controller = greatest_phandle(partial) + 1
        for node in partial.root().children():
            if node.base_name == "gic":
                controller = wanted_cell(self.mistake, node, "gic", "phandle")
        if controller == 0 or controller > MAX_PHANDLE:
            self.mistake.tell("the partial tree uses phandles up to the greatest: give its node /gic one")
            raise Errno.EINVAL
        self.description.devices.controller = max(controller, DEFAULT_CONTROLLER)

    # A device

    @raises
    def _read_node(self, node: Node) -> None:
        has_path = node.has(PATH)
        has_reg = node.has(REG)
        forced = node.has(FORCED)
        if has_path and not has_reg:
            self.mistake.wrong(node.name, REG, f'is missing beside "{PATH}": write which registers the guest gets')
            raise Errno.EINVAL
        if has_reg and not has_path and not forced:
            self.mistake.wrong(node.name, PATH, f'is missing beside "{REG}": write the device\'s path in the machine')
            raise Errno.EINVAL
        if has_path:
            self._read_device(node, forced)
        if has_reg:
            self._read_windows(node)

    @raises
    def _read_device(self, node: Node, forced: bool) -> None:
        path = wanted_name(self.mistake, node, node.name, PATH)
        device = machine_tree.root()
        try:
            device = machine_tree.find(path)
        except Errno:
            self.mistake.wrong(node.name, PATH, f"is {path}, which the machine's device tree does not have")
            raise Errno.EINVAL from None
        owner = self._owner_of_node(device.offset)
        if owner != "":
            self.mistake.wrong(node.name, PATH, f"is {path}, which {owner} has already")
            raise Errno.EINVAL
        if not self._is_confined(node, device) and not forced:
            self.mistake.wrong(
                node.name, PATH, f'is {path}, which no IOMMU guards: write "{FORCED}" if its guest is to be trusted'
            )
            raise Errno.EINVAL
        devices = self.description.devices
        if devices.node_count == MAX_NODES:
            self.mistake.wrong(node.name, PATH, f"is one of more than {MAX_NODES}: a domain owns no more devices")
            raise Errno.EINVAL
        devices.nodes[devices.node_count] = device.offset
        devices.node_count += 1
        self._take_interrupts(node, device)

    @raises
    def _is_confined(self, node: Node, device: Node) -> bool:
        """Whether it reaches memory through an IOMMU alone, by streams that the domain gets."""
        if CONFIG_SMMUV3:
            return stream_reader.read(self.mistake, node, device, self.description)
        return False

    def _owner_of_node(self, offset: u32) -> str:
        """Empty: nobody."""
        for other in descriptions:
            if other.devices.has_node(offset):
                return other.name
        return "another node" if self.description.devices.has_node(offset) else ""

    # Windows

    @raises
    def _read_windows(self, node: Node) -> None:
        reg = wanted_property(self.mistake, node, node.name, REG)
        parent = node.parent()
        a: u32 = 0
        s: u32 = 0
        try:
            a = parent.address_cells()
            s = parent.size_cells()
            reg.number(0, a)
            reg.number(a, s)
        except Errno:
            a = 0
        if a == 0 or s == 0 or reg.count % (2 * a + s) != 0 or reg.bytes.length % 4 != 0:
            self.mistake.wrong(
                node.name, REG, "is no list of address, size and guest's address, of the cells that its parent says"
            )
            raise Errno.EINVAL
        for i in bounded(reg.count // (2 * a + s), MAX_ENTRIES):
            first = i * (2 * a + s)
            self._read_window(node, reg.number(first, a), reg.number(first + a, s), reg.number(first + a + s, a))

    @raises
    def _read_window(self, node: Node, start: u64, size: u64, to: u64) -> None:
        name = node.name
        devices = self.description.devices
        if not is_whole(start) or not is_whole(size) or not is_whole(to):
            self.mistake.wrong(
                name, REG, f"has {start:#x}, {size:#x}, {to:#x}: a guest gets whole pages, multiples of 0x1000"
            )
        elif size == 0:
            self.mistake.wrong(name, REG, f"has a size of 0 at {start:#x}")
        elif start >= PHYSICAL_END or size > PHYSICAL_END - start:
            self.mistake.wrong(name, REG, f"has {size:#x} bytes at {start:#x}, beyond all that a machine has")
        elif to >= guest_end() or size > guest_end() - to:
            self.mistake.wrong(
                name, REG, f"has {size:#x} bytes at the guest's {to:#x}: its addresses end at {guest_end():#x}"
            )
        elif devices.window_count == MAX_WINDOWS:
            self.mistake.wrong(name, REG, f"has one of more than {MAX_WINDOWS} windows: join those that touch")
        else:
            self._check_window(node, Window(Paddr(start), gfn_of(Gaddr(to)), size >> PAGE_SHIFT))
            devices.windows[devices.window_count] = Window(Paddr(start), gfn_of(Gaddr(to)), size >> PAGE_SHIFT)
            devices.window_count += 1
            return
        raise Errno.EINVAL

    @raises
    def _check_window(self, node: Node, window: Window) -> None:
        """That nobody else has what it shows, and nothing else is where it goes."""
        name = node.name
        start, end = window.start, window.end
        owner = self._owner_of_registers(window)
        own = self.machine.own_part(start, end)
        there = self._guest_part(window)
        if early.ram.overlaps(start, end):
            self.mistake.wrong(name, REG, f"has {start:#x} to {end:#x}, where there is memory: name registers")
        elif own != "":
            self.mistake.wrong(name, REG, f"has {start:#x} to {end:#x}, where {own} is, which the hypervisor uses")
        elif owner != "":
            self.mistake.wrong(name, REG, f"has {start:#x} to {end:#x}, of which {owner} has a part already")
        elif there != "":
            at, behind = window.guest_start, window.guest_end
            self.mistake.wrong(name, REG, f"puts it at {at:#x} to {behind:#x}, where the guest has {there}: move it")
        else:
            return
        raise Errno.EINVAL

    def _owner_of_registers(self, window: Window) -> str:
        for other in descriptions:
            for taken in other.devices.each_window():
                if taken.start < window.end and window.start < taken.end:
                    return other.name
        for taken in self.description.devices.each_window():
            if taken.start < window.end and window.start < taken.end:
                return "another window"
        return ""

    def _guest_part(self, window: Window) -> str:
        start, end = window.guest_start, window.guest_end
        if self.description.has_memory_in(start, end):
            return "its memory"
        for taken in self.description.devices.each_window():
            if taken.guest_start < end and start < taken.guest_end:
                return "another window"
        return guest_part(self.description, start, end)

    # Interrupts

    @raises
    def _take_interrupts(self, node: Node, device: Node) -> None:
        """All that the machine's device has, of the interrupt controller that is its own or its bus's.
        `interrupts-extended` counts before `interrupts` (Devicetree Specification 0.4, 2.4.1)."""
        extended = device.property(EXTENDED)
        if extended.found:
            self._take_listed(node, device, extended, 0)
        elif self._has_controller(device):
            listed = device.property("interrupts")
            for i in bounded(listed.count // INTERRUPT_CELLS, MAX_ENTRIES):
                self._take_interrupt(node, listed, i * INTERRUPT_CELLS)
        mapped = device.property(MAP)
        if mapped.found:
            self._take_listed(node, device, mapped, self._unit_cells(node, device))

    def _has_controller(self, device: Node) -> bool:
        try:
            return self.machine.is_controller(parent_controller(device))
        except Errno:
            return False

    @raises
    def _unit_cells(self, node: Node, device: Node) -> u32:
        """How many cells name a device on a bus, and its interrupt, in the bus's `interrupt-map`."""
        try:
            cells = device.property("#interrupt-cells").cell()
            if cells <= MAX_ENTRIES:
                return device.address_cells() + cells
        except Errno:
            pass
        self._unreadable(node, device, MAP, 0)
        raise Errno.EINVAL

    @raises
    def _take_listed(self, node: Node, device: Node, listed: Property, unit: u32) -> None:
        """Those of a list of a controller's phandle and an interrupt of the controller's own. In an `interrupt-map` the
        cells of a unit come before, and between the two an address of the controller's (Devicetree Specification 0.4,
        2.4.3)."""
        if listed.bytes.length % 4 != 0 or listed.count > MAX_ENTRIES:
            self._unreadable(node, device, listed.name, 0)
            raise Errno.EINVAL
        at: u32 = 0
        for _ in bounded(listed.count, MAX_ENTRIES):
            if at == listed.count:
                return
            at = self._take_entry(node, device, listed, at, unit)

    @raises
    def _take_entry(self, node: Node, device: Node, listed: Property, start: u32, unit: u32) -> u32:
        """The entry that begins with a cell; returns where the next one begins."""
        try:
            controller = machine_tree.by_phandle(listed.cell(start + unit))
            address: u32 = 0
            if listed.name == MAP and controller.has("#address-cells"):
                address = controller.property("#address-cells").cell()
            cells = controller.property("#interrupt-cells").cell()
            left = listed.count - start - unit - 1
            if address > left or cells > left - address:
                raise Errno.EINVAL
        except Errno:
            self._unreadable(node, device, listed.name, start)
            raise Errno.EINVAL from None
        first = start + unit + 1 + address
        if self.machine.is_controller(controller):
            self._take_interrupt(node, listed, first)
        elif not is_within(controller, device):
            self.mistake.wrong(
                node.name,
                PATH,
                f'leads to {device.name}, whose "{listed.name}" has interrupts of {controller.name}: a guest gets '
                "those of the machine's interrupt controller alone, so leave the device out",
            )
            raise Errno.EINVAL
        return first + cells

    def _unreadable(self, node: Node, device: Node, name: str, at: u32) -> None:
        self.mistake.wrong(
            node.name,
            PATH,
            f'leads to {device.name}, whose "{name}" cannot be read from cell {at} on: correct the machine\'s tree',
        )

    @raises
    def _take_interrupt(self, node: Node, listed: Property, first: u32) -> None:
        devices = self.description.devices
        interrupt = DeviceInterrupt(0, False)
        try:
            interrupt = self.machine.interrupt(listed, first)
        except Errno:
            self.mistake.wrong(node.name, PATH, "leads to a device with an interrupt that is not shared between CPUs")
            raise
        number = interrupt.number
        if devices.has_interrupt(number):
            return  # of several units of one bus
        for other in descriptions:
            if other.devices.has_interrupt(number):
                self.mistake.wrong(
                    node.name, PATH, f"leads to a device with interrupt {number}, which {other.name} has already"
                )
                raise Errno.EINVAL
        self._check_number(node, number)
        if devices.interrupt_count == MAX_INTERRUPTS:
            self.mistake.wrong(node.name, PATH, f"leads to one of more than {MAX_INTERRUPTS} interrupts")
            raise Errno.EINVAL
        devices.interrupts[devices.interrupt_count] = interrupt
        devices.interrupt_count += 1

    @raises
    def _check_number(self, node: Node, number: u32) -> None:
        """That the guest's controller can have it, which grows unless it has been said how large it is."""
        needed = self.machine.spis_for(number)
        said = self.description.spis
        if needed == 0:
            self.mistake.wrong(
                node.name, PATH, f"leads to a device with interrupt {number}: a guest's controller has none so high"
            )
        elif number == uart_interrupt(self.description):
            self.mistake.wrong(
                node.name,
                PATH,
                f"leads to a device with interrupt {number}, as the domain's vpl011 has: leave that out",
            )
        elif self.description.fixed_spis and needed > said:
            self.mistake.wrong("", "nr_spis", f"is {said}: interrupt {number} of {node.name} takes {needed}")
        else:
            self.description.spis = max(said, needed)
            return
        raise Errno.EINVAL

    @raises
    def _check_interrupts(self, node: Node) -> None:
        """That what the guest is told of comes."""
        if node.has(EXTENDED):
            self._check_extended(node, node.property(EXTENDED))
            return
        listed = node.property("interrupts")
        if not listed.found or not self._interrupts_guest(node):
            return
        if listed.bytes.length % u64(INTERRUPT_CELLS * 4) != 0:
            self.mistake.wrong(node.name, "interrupts", f"is no list of interrupts of {INTERRUPT_CELLS} cells each")
            raise Errno.EINVAL
        for i in bounded(listed.count // INTERRUPT_CELLS, MAX_ENTRIES):
            self._check_owned(node, listed, i * INTERRUPT_CELLS)

    @raises
    def _check_extended(self, node: Node, listed: Property) -> None:
        """Entries of the guest's controller: those of others are its own affair."""
        top = partial.find("/passthrough")
        at: u32 = 0
        for _ in bounded(listed.count, MAX_ENTRIES):
            if at >= listed.count:
                return
            handle = listed.cell(at)
            if handle == self.description.devices.controller:
                self._check_owned(node, listed, at + 1)
                at += 1 + INTERRUPT_CELLS
            else:
                at += 1 + cells_of(top, handle)

    @raises
    def _check_owned(self, node: Node, listed: Property, first: u32) -> None:
        number: u32 = 0
        try:
            number = self.machine.interrupt(listed, first).number
        except Errno:
            return  # of each CPU's own: none that devices have
        if not self.description.devices.has_interrupt(number):
            self.mistake.wrong(
                node.name,
                listed.name,
                f'has {number}, which no device in the machine has that a "{PATH}" here leads to',
            )
            raise Errno.EINVAL

    @raises
    @unbounded("each step goes to the parent")
    def _interrupts_guest(self, node: Node) -> bool:
        """Whether a node's interrupts go to the guest's controller: so they do unless it or a node above says
        otherwise."""
        at = node
        while not at.is_root():
            parent = at.property("interrupt-parent")
            if parent.found:
                return parent.bytes.length == 4 and parent.cell() == self.description.devices.controller
            at = at.parent()
        return True


def cells_of(top: Node, handle: u32) -> u32:
    """How many cells an interrupt of a controller below `top` has. None where there is no such: what refers to it is
    refused (references.py)."""
    try:
        return min(find_below(top, handle).property("#interrupt-cells").cell(), u32(MAX_ENTRIES))
    except Errno:
        return 0


@raises
@unbounded("each step goes to the parent")
def is_within(node: Node, device: Node) -> bool:
    """Whether a node is the device, or a part of it."""
    at = node
    while at.offset != device.offset:
        if at.is_root():
            return False
        at = at.parent()
    return True


def guest_end() -> u64:
    return GuestFormat.limit() << PAGE_SHIFT


device_reader: Final = DeviceReader()
