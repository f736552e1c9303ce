"""Domains that have their memory where the machine has it: they find interrupt controller and UART where the machine
has those, too, and nothing at the usual places.
"""

import pytest

from tests.common.builder.test_devices import CLOCK, boot, guest_tree, partial, passed
from tests.common.builder.test_devices import board as machine_of
from tests.common.guests import (
    MODULES,
    RAM_BASE,
    UP,
    Machine,
    domain_node,
    flat,
    kernel_image,
    module,
    strings,
    u32,
    u64,
)

PLACE = RAM_BASE + 0x100_0000
SIZE = 0x40_0000
KERNEL_SIZE = 0x8000
DISTRIBUTOR, CPUS, UART = 0x800_0000, 0x80A_0000, 0x900_0000
USUAL_DISTRIBUTOR, USUAL_UART = 0x300_1000, 0x2200_0000
GICV = 0x0806_0000
STRIDE = 0x2_0000
DEVICE, NOTHING = 3, 0
NONE, DIST, REDIST, UART_DEVICE, GICV2 = range(5)  # what mmio.py tells apart
DIRECT = {"xen,static-mem": u64(PLACE) + u64(SIZE), "direct-map": b"", "vpl011": b""}


def direct(gicv2=True, cpus=2, room=0xF6_0000, uart=UART, interrupts=u32(0) + u32(1) + u32(4), **more):
    """A domain "a" that is mapped directly and "b" that is not, on a machine with this controller and console."""
    machine = Machine(2)
    machine.call("hv.sim.controller.use_arm64_devices")
    machine.host.variable("hv.arm64.gicv2.gicv2").virtual = GICV
    machine.put(MODULES, kernel_image(KERNEL_SIZE))
    kernel = module("kernel", MODULES, KERNEL_SIZE)
    a = domain_node("a", [kernel], SIZE >> 10, cpus, **(DIRECT | more))
    b = domain_node("b", [kernel], 4096, 1, vpl011=b"")
    tree = machine_of([a, b])
    for node in tree.children:
        if node.name.startswith("intc"):
            node.properties["compatible"] = strings("arm,gic-400" if gicv2 else "arm,gic-v3")
            node.properties["reg"] = u64(DISTRIBUTOR) + u64(0x1_0000) + u64(CPUS) + u64(room)
        elif node.name.startswith("pl011"):
            node.properties["reg"] = u64(uart) + u64(0x1000)
            node.properties["interrupts"] = interrupts
    machine.printed = machine.boot(flat(tree))
    return machine


def wide(tree, path, name):
    data = bytes(tree.getprop(tree.path_offset(path), name))
    return [int.from_bytes(data[i : i + 8], "big") for i in range(0, len(data), 8)]


def cells(tree, path, name):
    data = bytes(tree.getprop(tree.path_offset(path), name))
    return [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]


def device_at(machine, id, address):
    return machine.call("hv.arm64.mmio.device_at", machine.vcpus(machine.domain(id))[0], address)


def behind(machine, id, address):
    return machine.call("hv.common.mm.p2m.P2m.lookup", machine.p2m(machine.domain(id)), address >> 12)


@pytest.mark.parametrize("gicv2", [True, False])
def test_the_guests_tree_says_the_machines_places(gicv2):
    machine = direct(gicv2)
    assert machine.printed == []
    tree = guest_tree(machine)
    gic, uart = f"/interrupt-controller@{DISTRIBUTOR:x}", f"/sbsa-uart@{UART:x}"
    places = [0x1000, CPUS, 0x2000] if gicv2 else [0x1_0000, CPUS, 2 * STRIDE]
    assert wide(tree, gic, "reg") == [DISTRIBUTOR, *places]
    assert (wide(tree, uart, "reg"), cells(tree, uart, "interrupts")) == ([UART, 0x1000], [0, 1, 4])
    assert tree.getprop(tree.path_offset("/aliases"), "serial0").as_str() == uart
    usual = guest_tree(machine, 2)
    assert wide(usual, f"/interrupt-controller@{USUAL_DISTRIBUTOR:x}", "reg")[0] == USUAL_DISTRIBUTOR
    assert cells(usual, f"/sbsa-uart@{USUAL_UART:x}", "interrupts") == [0, 0, 4]


@pytest.mark.parametrize("gicv2", [True, False])
def test_registers_are_where_the_tree_says(gicv2):
    """And the other domain has them at the usual places, and nothing at the machine's."""
    machine = direct(gicv2)
    places = [(DISTRIBUTOR, USUAL_DISTRIBUTOR, GICV2 if gicv2 else DIST), (UART, USUAL_UART, UART_DEVICE)]
    places.append((CPUS + 0x1000, 0x300_3000, GICV2) if gicv2 else (CPUS + STRIDE, 0x302_0000, REDIST))
    for own, usual, kind in places:
        assert (device_at(machine, 1, own), device_at(machine, 2, usual)) == (kind, kind)
        assert (device_at(machine, 1, usual), device_at(machine, 2, own)) == (NONE, NONE)
    beyond = CPUS + (0x2000 if gicv2 else 2 * STRIDE)
    assert device_at(machine, 1, beyond) == NONE, "the machine's range goes on"
    if gicv2:
        mapped = behind(machine, 1, CPUS)
        assert (mapped.kind, mapped.mfn) == (DEVICE, GICV >> 12)
        assert behind(machine, 1, 0x300_2000).kind == NOTHING
        assert (behind(machine, 2, 0x300_2000).kind, behind(machine, 2, CPUS).kind) == (DEVICE, NOTHING)


@pytest.mark.parametrize(
    ("uart", "interrupts"), [(UART + 0x40, u32(0) + u32(1) + u32(4)), (UART, u32(1) + u32(7) + u32(4))]
)
def test_a_console_that_cannot_be_played_where_it_is(uart, interrupts):
    """It begins within a page, or has an interrupt of each CPU's own: the guest's is at the usual place."""
    machine = direct(uart=uart, interrupts=interrupts)
    assert machine.printed == []
    path = f"/sbsa-uart@{USUAL_UART:x}"
    tree = guest_tree(machine)
    assert (wide(tree, path, "reg"), cells(tree, path, "interrupts")) == ([USUAL_UART, 0x1000], [0, 0, 4])
    assert device_at(machine, 1, USUAL_UART) == UART_DEVICE


def test_the_controller_has_the_uarts_interrupt_whatever_nr_spis_says():
    machine = direct(interrupts=u32(0) + u32(200) + u32(4), nr_spis=u32(32))
    assert machine.printed == []
    assert machine.ffi.addressof(machine.domain(1), "arm64_vgic_state_Vgic").banks == 7
    assert machine.ffi.addressof(machine.domain(1), "arm64_vpl011_Vpl011").interrupt == 232


@pytest.mark.parametrize("room", [STRIDE, 2 * STRIDE])
def test_as_many_vcpus_as_the_machine_has_room_for_redistributors(room):
    machine = direct(gicv2=False, cpus=2, room=room)
    if room == 2 * STRIDE:
        assert machine.printed == []
    else:
        said = 'property "cpus" is 2: where the machine has its redistributors there is room for 1'
        assert machine.printed == [f"(hv) a: {said}: the domain is not built"]
        assert machine.domain(1) is None and machine.domain(2).state == UP


def test_memory_does_not_lie_where_the_uart_is_played():
    machine = direct(uart=PLACE + 0x1000)
    said = f'property "direct-map" lets memory be at {PLACE:#x} to {PLACE + SIZE:#x}, where its vpl011 lies'
    assert machine.printed == [f"(hv) a: {said}: the domain is not built"]
    assert machine.domain(1) is None and machine.domain(2).state == UP


@pytest.mark.parametrize(
    ("to", "there"),
    [(UART, "its vpl011"), (DISTRIBUTOR, "its interrupt controller"), (CPUS, "its interrupt controller")],
)
def test_devices_keep_clear_of_the_machines_places(to, there):
    """They may lie at the usual ones, which are free."""
    machine = boot(partial(passed(to=to)), **DIRECT)
    (line,) = machine.printed
    assert line.endswith("the domain is not built") and f"{to:#x}" in line and there in line, line
    assert machine.domain(1) is None
    for free in (USUAL_UART, USUAL_DISTRIBUTOR):
        machine = boot(partial(passed(to=free)), **DIRECT)
        assert machine.printed == []
        assert behind(machine, 1, free).mfn == CLOCK >> 12
