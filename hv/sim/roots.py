"""What the host library holds: a module that is imported here, and all that it uses, is there for the tests."""

# ruff: noqa: F401

from hv.arm64 import (
    caches,
    control,
    errata,
    exits,
    gicv2,
    gicv3,
    guest_nodes,
    guests,
    interrupt_dump,
    platform,
    predictor,
)
from hv.common.builder import debug_keys, dom0less, lifecycle
from hv.common.control import (
    event_op,
    grant_table_op,
    hvm_params,
    memory_op,
    multicall,
    pv_console,
    sched_op,
    sched_poll,
    vcpu_op,
    vm_assist,
    xen_version,
)
from hv.common.drivers import (
    acpi_nodes,
    cadence_uart,
    console_choice,
    framebuffer,
    ns16550,
    pci,
    pci_bars,
    pci_serial,
    pl011,
    pl031,
    scif,
    serial_options,
    tree_nodes,
)
from hv.common.kernel import (
    cmdline,
    console_input,
    crosscall,
    keys,
    log,
    panic,
    softirq,
    spinlock,
    symbols,
    timer,
    trace,
    wallclock,
    watchdog,
)
from hv.common.lib import bitmap, bzimage, elf, fdt, fdt_writer, format, image, ordered, parse, ring, span, text
from hv.common.mm import (
    early,
    guest_copy,
    heap,
    node_report,
    nodes,
    ownership,
    p2m,
    pagetable,
    pool,
    trace_control,
    walkers,
)
from hv.common.sched import core
from hv.common.selftest import suite
from hv.sim import (
    arch,
    broken,
    changes,
    console,
    controller,
    fixtures,
    fpsimd,
    interrupts,
    machine,
    pvh,
    samples,
    spaces,
    storms,
    svm,
    team,
    turns,
    vcpus,
    walker,
    x86_cpu,
    x86_devices,
    x86_tables,
)
from hv.sim import (
    pci as sim_pci,
)
from hv.sim.firmware import firmware
from hv.sim.pc import pc
from hv.x86 import calibration, memory_map, mtrr, pvh_loader, rtc, tsc_scale
from hv.x86 import console as x86_console
from hv.x86 import interrupts as x86_interrupts
from hv.x86.hvm import acpi, alu, components, decode, guest_map, lapic_ipi, memory_map_op, pv_layout
from hv.x86.svm import features, instruction, nmi, offer, permissions
from loader.unpack import unpack
from loader.x86 import memory, segments, start
