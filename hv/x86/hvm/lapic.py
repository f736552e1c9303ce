"""The local APIC of a vCPU: which interrupts wait, which is being served, and its registers (Intel SDM 3A, chapter 10).

What a guest can see of it is kept as Xen's save records have it (lapic_record.py). An interrupt is posted from any CPU,
without a lock: a bit in `posted`, and then `news`. All else is changed by the CPU that has the vCPU loaded, or by
nobody; it takes what was posted into the request register before it looks, and so would who takes a record. Other CPUs
may look, at what may be over by then.

Registers are numbered as x2APIC numbers them, from 0. What time it is, and other vCPUs, are the caller's business
(lapic_device.py, lapic_ipi.py).
"""

from hv.lang import Atomic, Embedded, Errno, Final, array, raises, u8, u32, u64
from hv.x86.hvm.lapic_record import BANK_WORDS, HARDWARE, NO_VECTOR, REGISTERS, SOFTWARE, HwLapic, HwLapicRegs

FIRST_VECTOR: Final[u32] = 16  # those below cannot be sent

ID: Final[u32] = 0x02
VERSION: Final[u32] = 0x03
TPR: Final[u32] = 0x08
PPR: Final[u32] = 0x0A
EOI: Final[u32] = 0x0B
LDR: Final[u32] = 0x0D
DFR: Final[u32] = 0x0E
SVR: Final[u32] = 0x0F
ISR: Final[u32] = 0x10
IRR: Final[u32] = 0x20
ESR: Final[u32] = 0x28
ICR: Final[u32] = 0x30
ICR_HIGH: Final[u32] = 0x31
LVT_TIMER: Final[u32] = 0x32
LVT_ERROR: Final[u32] = 0x37
INITIAL_COUNT: Final[u32] = 0x38
CURRENT_COUNT: Final[u32] = 0x39
DIVIDE: Final[u32] = 0x3E
SELF_IPI: Final[u32] = 0x3F
LVTS: Final = 6  # timer, thermal, counters, LINT0, LINT1, error

# Those that have a place in memory (table 10-1): all that there are but CMCI's, and self IPI, which x2APIC alone has
IN_MEMORY: Final[u64] = 0x43FF_01FF_FFFF_FF0C

VERSION_VALUE: Final[u32] = 0x0005_0014  # an integrated APIC, six local vectors
FLAT: Final[u32] = 0xFFFF_FFFF  # DFR
ENABLED: Final[u32] = 1 << 8  # SVR
SVR_WRITABLE: Final[u32] = 0x3FF
SVR_AT_RESET: Final[u32] = 0xFF
VECTOR: Final[u32] = 0xFF  # LVT
MASKED: Final[u32] = 1 << 16
PERIODIC: Final[u32] = 1 << 17
DEADLINE: Final[u32] = 2 << 17
MODE: Final[u32] = 3 << 17
ICR_WRITABLE: Final[u32] = 0x000C_CFFF  # delivery is never seen to be under way
TO_SELF: Final[u32] = 1 << 18  # ICR
SEND_ILLEGAL: Final[u32] = 1 << 5  # ESR: a vector that cannot be sent
RECEIVE_ILLEGAL: Final[u32] = 1 << 6
REGISTER_ILLEGAL: Final[u32] = 1 << 7
X2APIC: Final[u64] = 1 << 10  # APIC_BASE
GLOBALLY_ENABLED: Final[u64] = 1 << 11
BOOT_CPU: Final[u64] = 1 << 8
DEFAULT_BASE: Final[u64] = 0xFEE0_0000

LVT_WRITABLE: Final[array[u32, LVTS]] = array(0x7_00FF, 0x1_07FF, 0x1_07FF, 0x1_A7FF, 0x1_A7FF, 0x1_00FF)
LVT_KNOWN: Final[array[u32, LVTS]] = array(0x7_10FF, 0x1_17FF, 0x1_17FF, 0x1_F7FF, 0x1_F7FF, 0x1_10FF)
DIVIDE_WRITABLE: Final[u32] = 0xB
LOW: Final[u64] = 0xFFFF_FFFF


def apic_id(vcpu: u32) -> u32:
    """Of the vCPU with this number: even, as Xen's guests have them."""
    return vcpu * 2


def vcpu_of(apic_id: u32) -> u32:
    """The inverse, of those that are some vCPU's."""
    return apic_id // 2


def divisor_of(divide: u32) -> u32:
    """10.5.4: powers of two from 2 on, and 1."""
    return u32(1) << ((divide & 3 | divide >> 1 & 4) + 1 & 7)


class LocalApic:
    hw: Embedded[HwLapic]
    regs: Embedded[HwLapicRegs]
    errors: u32  # since ESR was written last
    waits: bool  # a bit of the request register may be set
    posted: array[Atomic[u32], BANK_WORDS]
    news: Atomic[bool]

    def reset(self, id: u32, is_boot_cpu: bool) -> None:
        """As at power-on (10.4.7.1); nothing waits."""
        self.hw.apic_base_msr = DEFAULT_BASE | GLOBALLY_ENABLED | (BOOT_CPU if is_boot_cpu else u64(0))
        self.hw.disabled = 0
        self.regs[ID] = id << 24
        self.initialise()

    def initialise(self) -> None:
        """As after INIT: number, base and mode stay (10.4.7.3, 10.12.5.1)."""
        id = self.regs[ID]
        for i in range(REGISTERS):
            self.regs[u32(i)] = 0
        self.regs[ID] = id
        self.regs[VERSION] = VERSION_VALUE
        self.regs[DFR] = FLAT
        self.regs[SVR] = SVR_AT_RESET
        for i in range(LVTS):
            self.regs[LVT_TIMER + u32(i)] = MASKED
        if self.is_x2apic:
            self.regs[LDR] = self._cluster_address()
        self.hw.disabled |= SOFTWARE
        self.hw.timer_divisor = divisor_of(0)
        self.hw.tdt_msr = 0
        self.errors = 0
        self.waits = False
        self.news.store(False)
        for i in range(BANK_WORDS):
            self.posted[i].store(0)

    # Which interrupt is next

    @property
    def is_enabled(self) -> bool:
        """By hardware and by software."""
        return self.hw.disabled == 0

    @property
    def is_reachable(self) -> bool:
        return self.hw.disabled & HARDWARE == 0

    @property
    def is_x2apic(self) -> bool:
        return self.hw.apic_base_msr & X2APIC != 0

    @property
    def is_in_memory(self) -> bool:
        """Its registers are in its page: neither is it off, nor does it show them as model-specific registers."""
        return self.hw.apic_base_msr & (GLOBALLY_ENABLED | X2APIC) == GLOBALLY_ENABLED

    def post(self, vector: u8) -> None:
        """From any CPU: the vCPU has to be woken behind it."""
        self.posted[vector // 32].or_(u32(1) << vector % 32)
        self.news.store(True)

    def request(self, vector: u32) -> None:
        """As `post`, on the vCPU's own CPU and of a vector that can be sent."""
        self.regs.set(IRR, vector)
        self.waits = True

    def next_vector(self) -> u32:
        """The interrupt that waits with the highest priority, when nothing holds it back; NO_VECTOR."""
        if self.news.load_relaxed():
            self._take_posted()
        if not self.waits or not self.is_enabled:
            return NO_VECTOR
        highest = self.regs.highest(IRR)
        if highest == NO_VECTOR:
            self.waits = False
            return NO_VECTOR
        return highest if highest >> 4 > self.ppr() >> 4 else NO_VECTOR

    def behind_priority(self) -> u32:
        """Behind `next_vector` that found none: what waits for the task priority to fall; NO_VECTOR."""
        if not self.waits or not self.is_enabled:
            return NO_VECTOR
        highest = self.regs.highest(IRR)
        return highest if highest >> 4 > self.regs.highest(ISR) >> 4 else NO_VECTOR

    def accept(self, vector: u32) -> None:
        """The vCPU takes it."""
        self.regs.remove(IRR, vector)
        self.regs.set(ISR, vector)

    def take_back(self, vector: u32) -> None:
        """It has not, after all."""
        self.regs.remove(ISR, vector)
        self.regs.set(IRR, vector)

    def end(self) -> None:
        """EOI: what is served with the highest priority is done."""
        served = self.regs.highest(ISR)
        if served != NO_VECTOR:
            self.regs.remove(ISR, served)

    def ppr(self) -> u32:
        served = self.regs.highest(ISR)
        priority = self.regs[TPR]
        return priority if priority >> 4 >= served >> 4 else served & 0xF0

    @property
    def priority_class(self) -> u32:
        """What CR8 shows of the task priority."""
        return self.regs[TPR] >> 4

    def set_priority_class(self, value: u32) -> None:
        """As a write to CR8 (10.8.6.1)."""
        self.regs[TPR] = value << 4

    def _take_posted(self) -> None:
        self.news.store(False)
        for i in range(BANK_WORDS):
            if self.posted[i].load_relaxed() != 0:
                self.regs[IRR + u32(i)] |= self.posted[i].exchange(0)
                self.waits = True
        if self.regs[IRR] & 0xFFFF != 0:
            self.regs[IRR] &= ~u32(0xFFFF)
            self.raise_error(RECEIVE_ILLEGAL)

    def raise_error(self, what: u32) -> None:
        """ESR shows it when it is written next. There is an interrupt for it, which another error of the same kind does
        not bring until then (10.5.3).
        """
        again = self.errors & what != 0
        self.errors |= what
        local = self.regs[LVT_ERROR]
        if again or local & MASKED != 0:
            return
        if local & VECTOR < FIRST_VECTOR:
            self.errors |= RECEIVE_ILLEGAL
        else:
            self.request(local & VECTOR)

    # Registers

    def exists(self, register: u32, writing: bool) -> bool:
        """Of x2APIC's, which faults where there is none (10.12.1.2)."""
        if register in (ID, VERSION, PPR, LDR, CURRENT_COUNT) or ISR <= register < ESR:
            return not writing
        if register in (EOI, SELF_IPI):
            return writing
        return register in (TPR, SVR, ESR, ICR, INITIAL_COUNT, DIVIDE) or LVT_TIMER <= register <= LVT_ERROR

    def can_hold(self, register: u32, value: u64) -> bool:
        """Of x2APIC's that can be written: a reserved bit faults (10.12.1.3)."""
        if LVT_TIMER <= register <= LVT_ERROR:
            return value & ~u64(LVT_KNOWN[register - LVT_TIMER]) == 0
        match register:
            case 0x08 | 0x3F:
                return value <= 0xFF
            case 0x0B | 0x28:
                return value == 0
            case 0x0F:
                return value & ~u64(SVR_WRITABLE) == 0
            case 0x30:
                return value & LOW & ~u64(ICR_WRITABLE) == 0
            case 0x3E:
                return value & ~u64(DIVIDE_WRITABLE) == 0
            case _:
                return value <= LOW

    def read(self, register: u32) -> u32:
        """All but the current count. Where memory has no register, that is an error and reads as zero."""
        if register >= REGISTERS or IN_MEMORY >> register & 1 == 0:
            self.raise_error(REGISTER_ILLEGAL)
            return 0
        if register == PPR:
            return self.ppr()
        if IRR <= register < ESR and self.news.load_relaxed():
            self._take_posted()
        return self.regs[register]

    def write(self, register: u32, value: u32) -> bool:
        """Whether the interrupt that the command register describes is to be sent."""
        if LVT_TIMER <= register <= LVT_ERROR:
            self._write_local(register, value)
            return False
        match register:
            case 0x08:
                self.regs[TPR] = value & 0xFF
            case 0x0B:
                self.end()
            case 0x0D:
                self.regs[LDR] = value & 0xFF00_0000
            case 0x0E:
                self.regs[DFR] = value | 0x0FFF_FFFF
            case 0x0F:
                self._write_svr(value)
            case 0x28:
                self.regs[ESR] = self.errors
                self.errors = 0
            case 0x30:
                self.regs[ICR] = value & ICR_WRITABLE
                return True
            case 0x31:
                self.regs[ICR_HIGH] = value if self.is_x2apic else value & 0xFF00_0000
            case 0x38:
                if self.counts:
                    self.regs[INITIAL_COUNT] = value
            case 0x3E:
                self.regs[DIVIDE] = value & DIVIDE_WRITABLE
                self.hw.timer_divisor = divisor_of(value)
            case 0x3F:
                if self.is_x2apic:
                    self.regs[ICR] = value & 0xFF | TO_SELF
                    return True
                self.raise_error(REGISTER_ILLEGAL)
            case _:
                if register >= REGISTERS or IN_MEMORY >> register & 1 == 0:
                    self.raise_error(REGISTER_ILLEGAL)
        return False

    def _write_local(self, register: u32, value: u32) -> None:
        """Of the local vector table. A timer that begins or ends to compare with the time stamp counter is off."""
        counted = self.counts
        kept = value & LVT_WRITABLE[register - LVT_TIMER]
        self.regs[register] = kept if self.hw.disabled & SOFTWARE == 0 else kept | MASKED
        if self.counts != counted:
            self.regs[INITIAL_COUNT] = 0
            self.hw.tdt_msr = 0

    def _write_svr(self, value: u32) -> None:
        """Local vectors cannot be unmasked while the APIC is off; what waits and what is served stays (10.4.7.2)."""
        self.regs[SVR] = value & SVR_WRITABLE
        if value & ENABLED != 0:
            self.hw.disabled &= ~SOFTWARE
            return
        self.hw.disabled |= SOFTWARE
        for i in range(LVTS):
            self.regs[LVT_TIMER + u32(i)] |= MASKED

    @raises
    def write_base(self, value: u64) -> None:
        """From one mode to another: x2APIC is reached from xAPIC alone and left only by turning the APIC off, behind
        which it is as at power-on (10.12.5). EPERM: there is no such way, or the page would move.
        """
        before = self.hw.apic_base_msr
        if value & ~(X2APIC | GLOBALLY_ENABLED | BOOT_CPU) != DEFAULT_BASE:
            raise Errno.EPERM
        wide = value & X2APIC != 0
        if value & GLOBALLY_ENABLED == 0:
            if wide:
                raise Errno.EPERM
            self.regs[ID] = self.id << 24
            self.hw.disabled |= HARDWARE
        elif before & GLOBALLY_ENABLED == 0:
            if wide:
                raise Errno.EPERM
            self.reset(self.id, False)
        elif self.is_x2apic:
            if not wide:
                raise Errno.EPERM
        elif wide:
            id = self.id
            self.hw.apic_base_msr = value
            self.regs[ID] = id
            self.regs[LDR] = self._cluster_address()
        self.hw.apic_base_msr = value

    @property
    def id(self) -> u32:
        """All 32 bits; in memory there are the lowest eight, in the top byte."""
        return self.regs[ID] if self.is_x2apic else self.regs[ID] >> 24

    def _cluster_address(self) -> u32:
        return self.id >> 4 << 16 | u32(1) << (self.id & 0xF)

    # Being addressed (10.6.2)

    def answers(self, destination: u32, logical: bool, wide: bool) -> bool:
        """Whether an interrupt is for this APIC. `wide`: the sender writes destinations as x2APIC has them."""
        everybody: u32 = 0xFFFF_FFFF if wide else 0xFF
        if destination == everybody:
            return True
        if not logical:
            return self.id == destination
        own = self.regs[LDR]
        if self.is_x2apic:
            return own >> 16 == destination >> 16 and own & destination & 0xFFFF != 0
        own >>= 24
        if self.regs[DFR] == FLAT:
            return own & destination & 0xFF != 0
        return own >> 4 == destination >> 4 & 0xF and own & destination & 0xF != 0

    # The timer

    @property
    def counts(self) -> bool:
        """The timer counts down; else it compares with the time stamp counter (10.5.4.1)."""
        return self.regs[LVT_TIMER] & DEADLINE == 0

    @property
    def repeats(self) -> bool:
        return self.regs[LVT_TIMER] & MODE == PERIODIC
