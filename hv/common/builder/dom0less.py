"""Domains as the boot loader's device tree describes them: "xen,domain" nodes under /chosen.

Bindings: Xen, docs/misc/arm/device-tree/booting.txt. Of a domain: `memory` (KiB), `xen,static-mem` and `direct-map`
(static_memory.py), `llc-colors` (color_reader.py), `cpus`, `vpl011`, `nr_spis`, `trap-unmapped-accesses`,
`passthrough`, `#address-cells`, `#size-cells`; its modules are "multiboot,kernel" with `bootargs`, "multiboot,ramdisk"
and "multiboot,device-tree" (device_reader.py), whatever else their `compatible` lists, each with `reg`, or with
`mb-index` where the boot loader decides where modules lie; "xen,domain-shared-memory-v1" children are
share_reader.py's; "xen,vcpu" children have `id` and `hard-affinity`. Not of Xen's are `on-reboot`, `on-watchdog` and
`on-crash`, "restart" or "destroy": unless they say otherwise, a domain that resets itself, or whose watchdog runs out,
is built anew, and one that crashes is not; `constrictor,console-input`, which the domain has to whom the keyboard
belongs at first; and the lines of a partition file (file_lines).

A mistake refuses that domain, with one line that names node and property. Domains are numbered from 1 in the order of
the tree, the refused ones too. The modules of accepted domains stay reserved, since a reset loads them anew; a module
may serve several.
"""

from hv.common.builder.boot_modules import boot_modules
from hv.common.builder.claims import claims
from hv.common.builder.description import Description, descriptions
from hv.common.builder.file_lines import read_file_lines
from hv.common.builder.loader import loading
from hv.common.builder.memory_map import MOST_FRAMES
from hv.common.builder.mistake import Mistake
from hv.common.builder.module import NO_MODULE, Module
from hv.common.builder.share_reader import place_regions, read_share
from hv.common.builder.shares import shared_regions
from hv.common.builder.static_memory import keep_heap, read_static_heap, read_static_memory
from hv.common.builder.wanted import wanted_cell, wanted_name, wanted_property, wanted_text
from hv.common.drivers.devicetree import tree
from hv.common.kernel.console import console
from hv.common.kernel.log import error
from hv.common.lib.fdt import Node
from hv.common.lib.parse import cpu_list
from hv.common.mm.early import early
from hv.common.mm.types import DomId, Paddr
from hv.common.model.domain import MAX_DOMAINS
from hv.common.model.vcpu import MAX_VCPUS
from hv.config import CONFIG_DOMAIN_WATCHDOG, CONFIG_LLC_COLORING, CONFIG_NR_CPUS, CONFIG_PASSTHROUGH, CONFIG_VPL011
from hv.lang import Embedded, Errno, Final, array, raises, u16, u32, u64

if CONFIG_LLC_COLORING:
    from hv.common.builder.color_reader import begin_colors, read_color_count, read_colors
if CONFIG_PASSTHROUGH:
    from hv.common.builder.device_machine import device_machines
    from hv.common.builder.device_reader import device_reader

LONGEST_BOOTARGS: Final[u64] = 2047  # Linux's COMMAND_LINE_SIZE, but for the end
KIB_PER_FRAME: Final[u64] = 4
MOST_SPIS: Final[u32] = 988  # of a GIC's distributor: numbers 32 to 1019
UNMAPPED: Final = "trap-unmapped-accesses"
WATCHDOG: Final = "on-watchdog"
NOT_OFFERED: Final[array[str, 3]] = array(
    "domain-cpupool",
    "sve",
    "xen,enhanced",
)
CHILDREN_NOT_OFFERED: Final[array[str, 1]] = array("xen,evtchn-v1")


class Reader:
    mistake: Embedded[Mistake]
    cpus: u32  # that the machine has and this build can run

    @raises
    def read(self, node: Node, description: Description) -> None:
        """EINVAL: the mistake tells what is wrong."""
        _clear(description)
        description.name = node.name
        self._refuse_unknown(node)
        description.frames = self._memory(node)
        description.vcpus = self._cpus(node)
        description.uart = node.has("vpl011")
        read_static_memory(self.mistake, node, description)
        self._read_colors(node, description)
        description.spis = self._spis(node)
        description.fixed_spis = node.has("nr_spis")
        self._check_passthrough(node)
        if description.uart and not CONFIG_VPL011:
            self.mistake.wrong("", "vpl011", "asks for a UART, which this build leaves out (CONFIG_VPL011)")
            raise Errno.EINVAL
        description.restarts_on_reboot = self._restarts(node, "on-reboot", True)
        description.restarts_on_crash = self._restarts(node, "on-crash", False)
        description.restarts_on_watchdog = self._restarts(node, WATCHDOG, True)
        description.reads_as_ones = not self._traps_unmapped(node)
        self._read_lines(node, description)
        for child in node.children():
            self._read_child(node, child, description)
        for child in node.children():
            if child.is_compatible("xen,domain-shared-memory-v1"):
                read_share(self.mistake, node, child, description)
        if description.kernel.bytes == 0:
            self.mistake.tell('no node below is compatible with "multiboot,kernel"')
            raise Errno.EINVAL
        try:
            loading.loader.place(description)
        except Errno:
            kib = description.frames * KIB_PER_FRAME
            self.mistake.wrong("", "memory", f"is {kib} KiB, in which kernel, ramdisk and device tree have no room")
            raise

    @raises
    def _refuse_unknown(self, node: Node) -> None:
        if not CONFIG_DOMAIN_WATCHDOG and node.has(WATCHDOG):
            what = "asks for watchdogs, which this build leaves out (CONFIG_DOMAIN_WATCHDOG)"
            self.mistake.wrong("", WATCHDOG, what)
            raise Errno.EINVAL
        for name in NOT_OFFERED:
            wanted = node.property(name)
            if wanted.found and not wanted.lists("disabled"):
                self.mistake.wrong("", name, "asks for what is not offered here")
                raise Errno.EINVAL

    @raises
    def _memory(self, node: Node) -> u64:
        """In frames."""
        memory = wanted_property(self.mistake, node, "", "memory")
        kib: u64 = 0
        try:
            kib = memory.integer()
        except Errno:
            self.mistake.wrong("", "memory", "is not one number, of one or two cells")
            raise
        most = MOST_FRAMES * KIB_PER_FRAME
        machine = early.ram.bytes >> 10
        if kib == 0:
            self.mistake.wrong("", "memory", "is 0: it counts KiB")
        elif kib % KIB_PER_FRAME != 0:
            self.mistake.wrong("", "memory", f"is {kib} KiB: it has to be a multiple of 4")
        elif kib > most:
            self.mistake.wrong("", "memory", f"is {kib} KiB: {most} are the most")
        elif kib > machine:
            self.mistake.wrong("", "memory", f"is {kib} KiB: the machine has {machine}")
        else:
            return kib // KIB_PER_FRAME
        raise Errno.EINVAL

    @raises
    def _cpus(self, node: Node) -> u32:
        cpus = wanted_cell(self.mistake, node, "", "cpus")
        if cpus == 0 or cpus > MAX_VCPUS:
            self.mistake.wrong("", "cpus", f"is {cpus}: a domain has 1 to {MAX_VCPUS}")
            raise Errno.EINVAL
        return cpus

    @raises
    def _read_colors(self, node: Node, description: Description) -> None:
        if not node.has("llc-colors"):
            return
        if CONFIG_LLC_COLORING:
            read_colors(self.mistake, node, description)
        else:
            self.mistake.wrong("", "llc-colors", "asks for colours, which this build leaves out (CONFIG_LLC_COLORING)")
            raise Errno.EINVAL

    @raises
    def _spis(self, node: Node) -> u32:
        """0: as few as it can do with."""
        if not node.has("nr_spis"):
            return 0
        spis = wanted_cell(self.mistake, node, "", "nr_spis")
        if spis > MOST_SPIS:
            self.mistake.wrong("", "nr_spis", f"is {spis}: a domain has up to {MOST_SPIS} shared interrupts")
            raise Errno.EINVAL
        return spis

    @raises
    def _traps_unmapped(self, node: Node) -> bool:
        if not node.has(UNMAPPED):
            return True
        traps = wanted_cell(self.mistake, node, "", UNMAPPED)
        if traps > 1:
            self.mistake.wrong("", UNMAPPED, f"is {traps}, and neither 0 nor 1")
            raise Errno.EINVAL
        return traps == 1

    @raises
    def _read_lines(self, node: Node, description: Description) -> None:
        try:
            description.lines = read_file_lines(node)
        except Errno:
            self.mistake.wrong("", "constrictor,lines", "has no rows of address, size and line, ascending, or no file")
            raise

    @raises
    def _check_passthrough(self, node: Node) -> None:
        """What a domain owns, its partial tree says."""
        wanted = node.property("passthrough")
        if wanted.found and not wanted.lists("enabled") and not wanted.lists("disabled"):
            self.mistake.wrong("", "passthrough", 'is neither "enabled" nor "disabled"')
            raise Errno.EINVAL
        none = wanted.lists("disabled")
        for child in node.children():
            if none and child.is_compatible("multiboot,device-tree"):
                self.mistake.wrong("", "passthrough", f"is disabled, and {child.name} gives the domain devices")
                raise Errno.EINVAL

    @raises
    def _restarts(self, node: Node, name: str, otherwise: bool) -> bool:
        wanted = node.property(name)
        if not wanted.found:
            return otherwise
        restart = wanted.lists("restart")
        if restart == wanted.lists("destroy"):
            self.mistake.wrong("", name, 'is neither "restart" nor "destroy"')
            raise Errno.EINVAL
        return restart

    @raises
    def _read_child(self, node: Node, child: Node, description: Description) -> None:
        kind = child.property("compatible")
        if kind.lists("multiboot,kernel"):
            if description.kernel.bytes != 0:
                self.mistake.wrong(child.name, "compatible", "says that it is the kernel, as another node does")
                raise Errno.EINVAL
            description.kernel = self._module(node, child)
            self._read_kernel(child, description)
        elif kind.lists("multiboot,ramdisk"):
            if description.ramdisk.bytes != 0:
                self.mistake.wrong(child.name, "compatible", "says that it is the ramdisk, as another node does")
                raise Errno.EINVAL
            description.ramdisk = self._module(node, child)
        elif kind.lists("xen,vcpu"):
            self._read_vcpu(child, description)
        elif kind.lists("multiboot,device-tree"):
            self._read_devices(node, child, description)
        else:
            for unknown in CHILDREN_NOT_OFFERED:
                if kind.lists(unknown):
                    self.mistake.wrong(child.name, "compatible", "asks for what is not offered here")
                    raise Errno.EINVAL

    @raises
    def _read_devices(self, node: Node, child: Node, description: Description) -> None:
        if CONFIG_PASSTHROUGH:
            machine = device_machines.machine
            if machine is not None:
                if description.devices.tree.bytes != 0:
                    self.mistake.wrong(child.name, "compatible", "says that it is the partial tree, as another does")
                    raise Errno.EINVAL
                module = self._module(node, child)
                device_reader.read(self.mistake, machine, child, module, description)
                return
        self.mistake.wrong(child.name, "compatible", "asks for what is not offered here")
        raise Errno.EINVAL

    @raises
    def _read_kernel(self, child: Node, description: Description) -> None:
        try:
            loading.loader.read(description)
        except Errno:
            where = "mb-index" if child.has("mb-index") else "reg"
            self.mistake.wrong(child.name, where, f"leads to no {loading.loader.wanted()}")
            raise
        if child.has("bootargs"):
            description.bootargs = wanted_text(self.mistake, child, child.name, "bootargs")
            if len(description.bootargs) > LONGEST_BOOTARGS:
                self.mistake.wrong(child.name, "bootargs", f"is longer than {LONGEST_BOOTARGS} bytes")
                raise Errno.EINVAL

    @raises
    def _module(self, node: Node, child: Node) -> Module:
        if child.has("mb-index"):
            return self._numbered_module(child)
        reg = wanted_property(self.mistake, child, child.name, "reg")
        start: u64 = 0
        size: u64 = 0
        try:
            cells = node.address_cells()
            start = reg.number(0, cells)
            size = reg.number(cells, node.size_cells())
        except Errno:
            self.mistake.wrong(child.name, "reg", "is no address and size, of the cells that the domain's node says")
            raise
        if size == 0:
            self.mistake.wrong(child.name, "reg", "has a size of 0")
        elif start + size < start or not early.ram.cover(start, start + size):
            self.mistake.wrong(child.name, "reg", f"is {start:#x} to {start + size:#x}, where there is no memory")
        elif not early.free.cover(start, start + size):
            self.mistake.wrong(child.name, "reg", f"is {start:#x} to {start + size:#x}, which is in use or reserved")
        elif not claims.add_module(Module(Paddr(start), size), node.name):
            other = claims.table[claims.find(Paddr(start), Paddr(start + size))]
            self.mistake.wrong(
                child.name,
                "reg",
                f"is {start:#x} to {start + size:#x}, which overlaps {other.what} of {other.owner}, "
                f"{other.start:#x} to {other.end:#x}",
            )
        else:
            return Module(Paddr(start), size)
        raise Errno.EINVAL

    @raises
    def _numbered_module(self, child: Node) -> Module:
        """One that the boot loader placed, and that is reserved already."""
        index = wanted_cell(self.mistake, child, child.name, "mb-index")
        try:
            module = boot_modules.find(index)
        except Errno:
            count = boot_modules.count
            self.mistake.wrong(child.name, "mb-index", f"is {index}: the boot loader has handed over {count} modules")
            raise Errno.EINVAL from None
        if module.bytes == 0:
            self.mistake.wrong(child.name, "mb-index", f"is {index}, a module that is empty")
        elif not early.ram.cover(module.start, module.end):
            self.mistake.wrong(child.name, "mb-index", f"is {index}, a module that lies where there is no memory")
        else:
            return module
        raise Errno.EINVAL

    @raises
    def _read_vcpu(self, child: Node, description: Description) -> None:
        id = wanted_cell(self.mistake, child, child.name, "id")
        if id >= description.vcpus:
            self.mistake.wrong(child.name, "id", f"is {id}: the domain's vCPUs are 0 to {description.vcpus - 1}")
            raise Errno.EINVAL
        affinity = description.affinity[id]
        if not affinity.is_empty():
            self.mistake.wrong(child.name, "id", f"is {id}, as another node's")
            raise Errno.EINVAL
        if not child.has("hard-affinity"):
            return
        listed = wanted_name(self.mistake, child, child.name, "hard-affinity")
        try:
            cpu_list(listed, affinity)
        except Errno:
            self.mistake.wrong(child.name, "hard-affinity", 'is no list of CPUs, such as "0-3,5"')
            raise
        beyond = affinity.first_set(self.cpus)
        if beyond != affinity.size:
            last = self.cpus - 1
            self.mistake.wrong(child.name, "hard-affinity", f"names CPU {beyond}: there are 0 to {last}")
            raise Errno.EINVAL


reader: Final = Reader()


def read_domains(machine_cpus: u32) -> None:
    """Reads all domains, for a machine with so many CPUs, and reserves the modules of those that are right. All RAM is
    in the direct map by now, what is in use is reserved, and the heap has not begun, or has never had the modules.
    """
    reader.cpus = max(min(machine_cpus, CONFIG_NR_CPUS), 1)
    number: u16 = 0
    try:
        chosen = tree.find("/chosen")
        read_static_heap(chosen)
        if CONFIG_LLC_COLORING:
            read_color_count(chosen)
        for node in chosen.children():
            if node.is_compatible("xen,domain"):
                number += 1
                _read_domain(node, DomId(number))
    except Errno:
        return
    try:
        claims.reserve()
        keep_heap()
        place_regions()
        if CONFIG_LLC_COLORING:
            begin_colors()
    except Errno:
        descriptions.count = 0
        error("memory is too scattered to keep the domains' modules and memory: no domain is built")


def _read_domain(node: Node, id: DomId) -> None:
    if descriptions.count == MAX_DOMAINS:
        error(f"{node.name}: there is room for {MAX_DOMAINS} domains: the domain is not built")
        return
    description = descriptions.table[descriptions.count]
    claimed = claims.count
    regions = shared_regions.count
    description.id = id
    try:
        reader.read(node, description)
    except Errno:
        claims.count = claimed
        shared_regions.forget(regions, id)
        error(f"{node.name}: {reader.mistake.text}: the domain is not built")
        return
    descriptions.count += 1
    if node.has("constrictor,console-input"):
        console.prefer(u32(id))


def _clear(description: Description) -> None:
    """Nothing of one that was refused is left."""
    description.bootargs = ""
    description.devices.clear()
    description.set_aside.clear()
    description.colors.clear()
    description.shares.count = 0
    description.kernel = NO_MODULE
    description.segment_count = 0
    description.ramdisk = NO_MODULE
    for affinity in description.affinity:
        affinity.clear_all()
