"""The simulated machine's CPUs, clock, alarms, interrupts between CPUs, console, and end.

A test is on one CPU at a time (`enter_cpu`; threads of a test are each on their own), moves the clock (`advance`), and
has what is pending delivered: by `poll`, or while interrupts are on. Handlers are functions that the test, or
hv/sim/interrupts.py, sets.
"""

from hv.common.kernel.time import Ns
from hv.config import CONFIG_NR_CPUS
from hv.lang import (
    Atomic,
    Callable,
    Final,
    Never,
    PerCpu,
    address_of,
    array,
    attach_percpu,
    bounded,
    extern,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
)

CONSOLE_BYTES: Final[u32] = 65536
DEVICE_REGISTERS: Final = 1024  # of 32 bits: the low bits of an address choose one

POWERED_OFF: Final[i32] = 64  # exit statuses of the process that is the machine
RESTARTED: Final[i32] = 65
HALTED: Final[i32] = 66


class SimulatedCpu(PerCpu):
    interrupts: bool
    alarm: Ns
    alarm_set: bool
    kicked: Atomic[u32]
    kicks: Atomic[u32]  # how often others have interrupted it
    urged: Atomic[u32]  # how often urgently: what comes of it the test says


class CpuNumber(PerCpu):
    number: u32


class Machine:
    clock: Atomic[u64]  # ns
    kick_handler: Callable[[u32], None] | None  # of an interrupt from another CPU; the argument is this CPU's number
    alarm_handler: Callable[[u32], None] | None
    spin_handler: Callable[[u16], None] | None  # lets something else happen while this CPU spins
    crowded: bool  # CPUs are threads that may have to share a processor: who spins lets the others go on
    registers: array[u32, DEVICE_REGISTERS]  # of the one device that there is; they keep what is written
    register_read: Callable[[u64], u32] | None  # instead, when a test plays the device
    register_written: Callable[[u64, u32], None] | None
    port_read: Callable[[u16, u8], u32] | None  # the port and the width in bytes; without: no device answers
    port_written: Callable[[u16, u8, u32], None] | None
    console: array[u8, CONSOLE_BYTES]
    console_length: u32
    last_words: array[u64, 2]  # the console's address and length, as writev wants them


machine: Final = Machine()


def enter_cpu(cpu: u32) -> None:
    """The calling thread goes on as this CPU."""
    attach_percpu(cpu)
    CpuNumber.this().number = cpu


def advance(time: u64) -> None:
    """Lets nanoseconds pass."""
    machine.clock.add(time)


def time() -> Ns:
    return Ns(machine.clock.load())


def poll() -> None:
    """Delivers what is pending for this CPU."""
    cpu = SimulatedCpu.this()
    number = CpuNumber.this().number
    if cpu.kicked.exchange(0) != 0:
        handler = machine.kick_handler
        if handler is not None:
            handler(number)
    if alarm_due():
        cpu.alarm_set = False
        ring = machine.alarm_handler
        if ring is not None:
            ring(number)


def alarm_due() -> bool:
    cpu = SimulatedCpu.this()
    return cpu.alarm_set and machine.clock.load() >= cpu.alarm


def pending_on(cpu: u32) -> bool:
    """Whether an interrupt waits for a CPU: this one, or one that does nothing just now."""
    state = SimulatedCpu.on(cpu)
    return state.kicked.load() != 0 or (state.alarm_set and machine.clock.load() >= state.alarm)


def kick(cpu: u32) -> None:
    assert cpu < CONFIG_NR_CPUS, "interrupt to a CPU that there is not"
    SimulatedCpu.on(cpu).kicked.store(1)
    SimulatedCpu.on(cpu).kicks.add(1)


def urge(cpu: u32) -> None:
    assert cpu < CONFIG_NR_CPUS, "interrupt to a CPU that there is not"
    SimulatedCpu.on(cpu).urged.add(1)


def spin() -> None:
    handler = machine.spin_handler
    if handler is not None:
        handler(u16(CpuNumber.this().number))
    if machine.crowded:
        sched_yield()


def read_register(address: u64) -> u32:
    handler = machine.register_read
    return machine.registers[address // 4 % DEVICE_REGISTERS] if handler is None else handler(address)


def write_register(address: u64, value: u32) -> None:
    machine.registers[address // 4 % DEVICE_REGISTERS] = value
    handler = machine.register_written
    if handler is not None:
        handler(address, value)


def read_port(port: u16, width: u8) -> u32:
    handler = machine.port_read
    return 0xFFFF_FFFF if handler is None else handler(port, width)


def write_port(port: u16, width: u8, value: u32) -> None:
    handler = machine.port_written
    if handler is not None:
        handler(port, width, value)


def put(byte: u8) -> None:
    """To the console, whose beginning is kept."""
    if machine.console_length < CONSOLE_BYTES:
        machine.console[machine.console_length] = byte
        machine.console_length += 1


def say(text: str) -> None:
    for i in bounded(len(text), CONSOLE_BYTES):
        put(ord(text[i]))


def say_number(number: u64) -> None:
    """In decimal. The log's way of writing numbers may end here itself."""
    divisor: u64 = 10_000_000_000_000_000_000
    for _ in range(20):
        if number >= divisor or divisor == 1:
            put(u8(number // divisor % 10) + ord("0"))
        divisor = max(divisor // 10, 1)


def end(status: i32) -> Never:
    """Ends the process; unless it was powered off, with the console's text on standard error, since it may tell of a
    panic."""
    if status != POWERED_OFF:
        machine.last_words[0] = address_of(machine.console)
        machine.last_words[1] = u64(machine.console_length)
        writev(2, address_of(machine.last_words), 1)
    _exit(status)


@extern
def sched_yield() -> i32:
    """The C library's."""
    ...


@extern
def _exit(status: i32) -> Never:
    """The C library's."""


@extern
def writev(file: i32, parts: u64, count: i32) -> i64:
    """The C library's."""
    ...
