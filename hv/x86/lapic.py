"""The local APIC: interrupts between CPUs, and this CPU's timer (Intel SDM 3A, chapter 10).

There are two ways to its registers: memory (xAPIC), the same address on all CPUs, and model-specific registers
(x2APIC), which CPUs with many siblings need. `start_cpu` comes first on each CPU. Interrupts that come as levels or
edges from devices go through the I/O APIC.
"""

from hv.lang import Bits, Field, Final, Protocol, U8Enum, u8, u32, u64, unbounded
from hv.x86.cpu import complete_stores, read_device32, read_msr, relax, write_device32, write_msr
from hv.x86.cpuid import Leaf
from hv.x86.sysreg import APIC_BASE

ID: Final[u32] = 0x20
VERSION: Final[u32] = 0x30
TPR: Final[u32] = 0x80
EOI: Final[u32] = 0xB0
LDR: Final[u32] = 0xD0
SVR: Final[u32] = 0xF0
ESR: Final[u32] = 0x280
ICR: Final[u32] = 0x300
ICR_HIGH: Final[u32] = 0x310
LVT_CMCI: Final[u32] = 0x2F0
LVT_TIMER: Final[u32] = 0x320
LVT_THERMAL: Final[u32] = 0x330
LVT_COUNTERS: Final[u32] = 0x340
LVT_LINT0: Final[u32] = 0x350
LVT_LINT1: Final[u32] = 0x360
LVT_ERROR: Final[u32] = 0x370
TIMER_INITIAL: Final[u32] = 0x380
TIMER_CURRENT: Final[u32] = 0x390
TIMER_DIVIDE: Final[u32] = 0x3E0

DIVIDE_BY_1: Final[u32] = 0b1011
MASKED: Final[u32] = 1 << 16
DELIVER_NMI: Final[u32] = 4 << 8
ENABLED: Final[u32] = 1 << 8  # of SVR
ICR_BUSY: Final[u32] = 1 << 12

X2APIC_MSRS: Final[u32] = 0x800
CPUID_X2APIC: Final[u32] = 1 << 21  # of leaf 1's ecx

SPURIOUS: Final[u8] = 0xFF


class ApicBase(Bits[u64]):
    """IA32_APIC_BASE."""

    boot_cpu = Field(8)
    x2apic = Field(10)
    enabled = Field(11)
    frame = Field(51, 12)


class Delivery(U8Enum):
    FIXED = 0
    NMI = 4
    INIT = 5
    STARTUP = 6


class Command(Bits[u32]):
    """The lower half of ICR."""

    vector = Field(7, 0, of=u8)
    delivery = Field(10, 8, of=Delivery)
    assert_level = Field(14)


class LocalApic(Protocol):
    def start(self) -> None:
        """Turns this CPU's on."""
        ...

    def id(self) -> u32: ...

    def read(self, register: u32) -> u32:
        """Registers are named as in memory."""
        ...

    def write(self, register: u32, value: u32) -> None: ...

    def send(self, to: u32, command: u32) -> None:
        """Stores before this are visible to the receiver."""
        ...


class XApic(LocalApic):
    address: u64  # where the registers are mapped

    def start(self) -> None:
        base = ApicBase(read_msr(APIC_BASE))
        if not base.enabled:
            base.enabled = True
            write_msr(APIC_BASE, base.raw)

    def id(self) -> u32:
        return read_device32(self.address + u64(ID)) >> 24

    def read(self, register: u32) -> u32:
        return read_device32(self.address + u64(register))

    def write(self, register: u32, value: u32) -> None:
        write_device32(self.address + u64(register), value)

    @unbounded("the APIC has sent what it was told before")
    def send(self, to: u32, command: u32) -> None:
        while self.read(ICR) & ICR_BUSY != 0:
            relax()
        self.write(ICR_HIGH, to << 24)
        self.write(ICR, command)


class X2Apic(LocalApic):
    unused: u8

    def start(self) -> None:
        """Through the xAPIC's state: from off there is no direct way (Intel SDM 3A, 10.12.5)."""
        base = ApicBase(read_msr(APIC_BASE))
        if not base.enabled:
            base.enabled = True
            write_msr(APIC_BASE, base.raw)
        if not base.x2apic:
            base.x2apic = True
            write_msr(APIC_BASE, base.raw)

    def id(self) -> u32:
        return self.read(ID)

    def read(self, register: u32) -> u32:
        return u32(read_msr(X2APIC_MSRS + register // 16) & 0xFFFF_FFFF)

    def write(self, register: u32, value: u32) -> None:
        write_msr(X2APIC_MSRS + register // 16, u64(value))

    def send(self, to: u32, command: u32) -> None:
        """The write does not wait for earlier stores by itself (Intel SDM 3A, 10.12.3)."""
        complete_stores()
        write_msr(X2APIC_MSRS + ICR // 16, u64(to) << 32 | u64(command))


xapic: Final = XApic()
x2apic: Final = X2Apic()


class ThisMachine:
    apic: LocalApic
    has_x2apic: bool


machine: Final = ThisMachine()


def xapic_frame() -> u64:
    """The frame of the registers in memory; the same on all CPUs."""
    return ApicBase(read_msr(APIC_BASE)).frame


def choose_x2apic() -> bool:
    """On the boot CPU. False: the CPU has none, and the registers in memory have to be mapped for `choose_xapic`."""
    leaf = Leaf()
    leaf.read(1)
    machine.has_x2apic = leaf.ecx & CPUID_X2APIC != 0
    if machine.has_x2apic:
        machine.apic = x2apic
    return machine.has_x2apic


def choose_xapic(address: u64) -> None:
    xapic.address = address
    machine.apic = xapic


def start_cpu() -> None:
    """Nothing comes from here but what is sent to this CPU, NMIs, and its timer."""
    apic = machine.apic
    apic.start()
    apic.write(SVR, ENABLED | u32(SPURIOUS))
    apic.write(TPR, 0)
    apic.write(LVT_TIMER, MASKED)
    entries = apic.read(VERSION) >> 16 & 0xFF  # one less than how many
    if entries >= 3:
        apic.write(LVT_ERROR, MASKED)
    if entries >= 4:
        apic.write(LVT_COUNTERS, MASKED)
    if entries >= 5:
        apic.write(LVT_THERMAL, MASKED)
    if entries >= 6:
        apic.write(LVT_CMCI, MASKED)
    apic.write(LVT_LINT0, MASKED)
    apic.write(LVT_LINT1, DELIVER_NMI)
    apic.write(ESR, 0)
    apic.write(TIMER_DIVIDE, DIVIDE_BY_1)
    apic.write(TIMER_INITIAL, 0)
    apic.write(EOI, 0)


def end_of_interrupt() -> None:
    machine.apic.write(EOI, 0)


def send(to: u32, vector: u8) -> None:
    """To the CPU with this APIC ID."""
    machine.apic.send(to, Command(vector=vector, delivery=Delivery.FIXED, assert_level=True).raw)


def send_nmi(to: u32) -> None:
    """The vector does not count (Intel SDM 3A, 10.6.1)."""
    machine.apic.send(to, Command(delivery=Delivery.NMI, assert_level=True).raw)


def send_init(to: u32) -> None:
    machine.apic.send(to, Command(delivery=Delivery.INIT, assert_level=True).raw)


def send_startup(to: u32, page: u8) -> None:
    """The CPU begins in real mode at the page, which lies below 1 MiB."""
    machine.apic.send(to, Command(vector=page, delivery=Delivery.STARTUP, assert_level=True).raw)
