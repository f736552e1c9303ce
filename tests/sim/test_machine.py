"""The simulated machine itself: CPUs, time, interrupts, console, and how it ends."""

import pytest

from tests.common.mm.simulated import Machine, death_of

ARCH = "hv.sim.arch."
NEVER = 2**64 - 1


@pytest.fixture
def machine():
    found = Machine()
    yield found
    found.call("hv.sim.machine.enter_cpu", 0)


def state(machine):
    return machine.library.variable("hv.sim.machine.machine")


def handlers(machine):
    """Sets handlers that note what they were called for."""
    seen = []
    callbacks = {
        name: machine.ffi.callback(
            machine.ffi.typeof(getattr(state(machine), name)), lambda cpu, name=name: seen.append((name, cpu))
        )
        for name in ("kick_handler", "alarm_handler", "spin_handler")
    }
    for name, callback in callbacks.items():
        setattr(state(machine), name, callback)
    return seen, callbacks


def test_time_moves_as_it_is_told(machine):
    assert machine.call(ARCH + "now") == 0
    machine.call("hv.sim.machine.advance", 12345)
    assert machine.call(ARCH + "now") == 12345


def test_an_alarm_rings_once_on_its_cpu(machine):
    seen, _kept = handlers(machine)
    machine.call("hv.sim.machine.enter_cpu", 2)
    machine.call(ARCH + "set_alarm", 100)
    machine.call("hv.sim.machine.advance", 99)
    machine.call(ARCH + "poll_interrupts")
    assert seen == []
    machine.call("hv.sim.machine.advance", 1)
    machine.call("hv.sim.machine.enter_cpu", 0)
    machine.call(ARCH + "poll_interrupts")
    assert seen == []
    machine.call("hv.sim.machine.enter_cpu", 2)
    machine.call(ARCH + "poll_interrupts")
    machine.call(ARCH + "poll_interrupts")
    assert seen == [("alarm_handler", 2)]


def test_an_alarm_is_turned_off(machine):
    seen, _kept = handlers(machine)
    machine.call(ARCH + "set_alarm", 100)
    machine.call(ARCH + "set_alarm", NEVER)
    machine.call("hv.sim.machine.advance", 1000)
    machine.call(ARCH + "poll_interrupts")
    assert seen == []


def test_interrupts_between_cpus(machine):
    seen, _kept = handlers(machine)
    machine.call(ARCH + "send_ipi", 3)
    machine.call(ARCH + "send_ipi", 3)
    machine.call(ARCH + "poll_interrupts")
    assert seen == []
    machine.call("hv.sim.machine.enter_cpu", 3)
    assert machine.call(ARCH + "cpu_id") == 3
    machine.call(ARCH + "poll_interrupts")
    assert seen == [("kick_handler", 3)]


def test_waiting_and_spinning(machine):
    seen, _kept = handlers(machine)
    machine.call(ARCH + "relax")
    machine.call(ARCH + "wait_for_interrupt")
    assert seen == [("spin_handler", 0)] * 2
    machine.call(ARCH + "send_ipi", 0)
    machine.call(ARCH + "wait_for_interrupt")
    assert len(seen) == 2, "an interrupt that is pending ends the wait at once, and stays pending"
    machine.call(ARCH + "interrupts_on")
    assert seen[2:] == [("kick_handler", 0)] and machine.call(ARCH + "interrupts_enabled")
    machine.call(ARCH + "interrupts_off")
    assert not machine.call(ARCH + "interrupts_enabled")


def test_the_console_is_kept(machine):
    for byte in b"hello\n":
        machine.call(ARCH + "early_put", byte)
    kept = state(machine)
    assert bytes(machine.ffi.buffer(kept.console, kept.console_length)) == b"hello\n"


@pytest.mark.parametrize(
    ("how", "status", "speaks"), [("power_off", 64, False), ("restart", 65, True), ("halt", 66, True)]
)
def test_how_it_ends(machine, how, status, speaks):
    def end():
        machine.call(ARCH + "early_put", ord("!"))
        machine.call(ARCH + how)

    died = death_of(end)
    assert (died.status, died.said) == (status, "!" if speaks else "")


def test_memory_ends(machine):
    assert machine.call(ARCH + "direct_address", 0x4000_0000) % 0x20_0000 == 0
    for beyond in (0, 0x3FFF_FFFF, 0x4400_0000, 2**64 - 1):
        assert death_of(lambda beyond=beyond: machine.call(ARCH + "direct_address", beyond)).panicked


def test_a_devices_registers(machine):
    machine.call(ARCH + "write_device32", 0x900_0018, 0x1234)
    assert machine.call(ARCH + "read_device32", 0x900_0018) == 0x1234
    kept = machine.ffi.callback("u32(u64)", lambda address: address & 0xFFFF)
    state(machine).register_read = kept
    assert machine.call(ARCH + "read_device32", 0x900_0018) == 0x18
