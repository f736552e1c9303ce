"""The local APIC of a vCPU: which interrupts wait, which is being served, and its registers (Intel SDM 3A, chapter 10).

An interrupt is posted from any CPU, without a lock: a bit in `posted`, and then `news`. All else is changed by the CPU
that has the vCPU loaded, or by nobody; it takes what was posted into the request register before it looks.

Registers are numbered as x2APIC numbers them, from 0: in memory each takes 16 bytes, at 16 times its number. What time
it is, and other vCPUs, are the caller's business (lapic_device.py): a write says what is to be done about them.
"""

from hv.lang import Atomic, Embedded, Final, U8Enum, array, leading_zeros, u8, u32, u64

WORDS: Final = 8  # of 32 bits, for 256 vectors
FIRST_VECTOR: Final[u32] = 16  # those below cannot be sent
NO_VECTOR: Final[u32] = 0  # none waits

ID: Final[u32] = 0x02
VERSION: Final[u32] = 0x03
TPR: Final[u32] = 0x08
PPR: Final[u32] = 0x0A
EOI: Final[u32] = 0x0B
LDR: Final[u32] = 0x0D
DFR: Final[u32] = 0x0E
SVR: Final[u32] = 0x0F
ISR: Final[u32] = 0x10
TMR: Final[u32] = 0x18
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

VERSION_VALUE: Final[u32] = 0x0005_0014  # an integrated APIC, six local vectors
FLAT: Final[u32] = 0xFFFF_FFFF  # DFR
ENABLED: Final[u32] = 1 << 8  # SVR
MASKED: Final[u32] = 1 << 16  # LVT
PERIODIC: Final[u32] = 1 << 17
DEADLINE: Final[u32] = 2 << 17
MODE: Final[u32] = 3 << 17
ICR_BUSY: Final[u32] = 1 << 12  # delivery is never seen to be under way
SEND_ILLEGAL: Final[u32] = 1 << 5  # ESR: a vector that cannot be sent
RECEIVE_ILLEGAL: Final[u32] = 1 << 6
REGISTER_ILLEGAL: Final[u32] = 1 << 7
X2APIC: Final[u64] = 1 << 10  # APIC_BASE
GLOBALLY_ENABLED: Final[u64] = 1 << 11
BOOT_CPU: Final[u64] = 1 << 8
DEFAULT_BASE: Final[u64] = 0xFEE0_0000

LVT_WRITABLE: Final[array[u32, LVTS]] = array(0x7_00FF, 0x1_07FF, 0x1_07FF, 0x1_A7FF, 0x1_A7FF, 0x1_00FF)


def apic_id(vcpu: u32) -> u32:
    """Of the vCPU with this number: even, as Xen's guests have them."""
    return vcpu * 2


class Effect(U8Enum):
    """What a write asks of the caller besides."""

    NOTHING = 0
    SEND = 1  # the interrupt that the command register describes
    TIMER = 2  # count, divider or mode has changed


class Vectors:
    """A register of 256 bits."""

    words: array[u32, WORDS]

    def clear(self) -> None:
        for i in range(WORDS):
            self.words[i] = 0

    def set(self, vector: u32) -> None:
        self.words[vector // 32] |= u32(1) << vector % 32

    def remove(self, vector: u32) -> None:
        self.words[vector // 32] &= ~(u32(1) << vector % 32)

    def highest(self) -> u32:
        """NO_VECTOR: none is set."""
        for i in range(WORDS):
            word = self.words[WORDS - 1 - i]
            if word != 0:
                return (WORDS - 1 - u32(i)) * 32 + 31 - leading_zeros(word)
        return NO_VECTOR


class LocalApic:
    base: u64  # APIC_BASE
    id: u32  # all 32 bits; in memory the lowest eight, in the top byte
    tpr: u32
    ldr: u32
    dfr: u32
    svr: u32
    esr: u32  # as it was latched
    errors: u32  # since
    icr: u32
    icr_high: u32
    lvt: array[u32, LVTS]
    initial_count: u32
    divide: u32
    isr: Embedded[Vectors]
    irr: Embedded[Vectors]
    waits: bool  # a bit of `irr` may be set
    posted: array[Atomic[u32], WORDS]
    news: Atomic[bool]

    def reset(self, id: u32, is_boot_cpu: bool) -> None:
        """As at power-on (10.12.5.1); nothing waits."""
        self.base = DEFAULT_BASE | GLOBALLY_ENABLED | (BOOT_CPU if is_boot_cpu else u64(0))
        self.id = id
        self.initialise()

    def initialise(self) -> None:
        """As after INIT: number and base stay."""
        self.tpr = 0
        self.ldr = 0
        self.dfr = FLAT
        self.svr = 0xFF
        self.esr = 0
        self.errors = 0
        self.icr = 0
        self.icr_high = 0
        self.initial_count = 0
        self.divide = 0
        self.waits = False
        self.news.store(False)
        for i in range(LVTS):
            self.lvt[i] = MASKED
        self.isr.clear()
        self.irr.clear()
        for i in range(WORDS):
            self.posted[i].store(0)
        if self.is_x2apic:
            self.ldr = self._cluster_address()

    # Which interrupt is next

    @property
    def is_enabled(self) -> bool:
        """By hardware and by software."""
        return self.base & GLOBALLY_ENABLED != 0 and self.svr & ENABLED != 0

    @property
    def is_reachable(self) -> bool:
        return self.base & GLOBALLY_ENABLED != 0

    @property
    def is_x2apic(self) -> bool:
        return self.base & X2APIC != 0

    def post(self, vector: u8) -> None:
        """From any CPU: the vCPU has to be woken behind it."""
        self.posted[vector // 32].or_(u32(1) << vector % 32)
        self.news.store(True)

    def next_vector(self) -> u32:
        """The interrupt that waits with the highest priority, when nothing holds it back; NO_VECTOR."""
        if self.news.load_relaxed():
            self._take_posted()
        if not self.waits or not self.is_enabled:
            return NO_VECTOR
        highest = self.irr.highest()
        if highest == NO_VECTOR:
            self.waits = False
            return NO_VECTOR
        return highest if highest >> 4 > self.ppr() >> 4 else NO_VECTOR

    def behind_priority(self) -> u32:
        """Behind `next_vector` that found none: what waits for the task priority to fall; NO_VECTOR."""
        if not self.waits or not self.is_enabled:
            return NO_VECTOR
        highest = self.irr.highest()
        return highest if highest >> 4 > self.isr.highest() >> 4 else NO_VECTOR

    def accept(self, vector: u32) -> None:
        """The vCPU takes it."""
        self.irr.remove(vector)
        self.isr.set(vector)

    def end(self) -> None:
        """EOI: what is served with the highest priority is done."""
        served = self.isr.highest()
        if served != NO_VECTOR:
            self.isr.remove(served)

    def ppr(self) -> u32:
        served = self.isr.highest()
        return self.tpr if self.tpr >> 4 >= served >> 4 else served & 0xF0

    def _take_posted(self) -> None:
        self.news.store(False)
        for i in range(WORDS):
            if self.posted[i].load_relaxed() != 0:
                self.irr.words[i] |= self.posted[i].exchange(0)
                self.waits = True

    # Registers

    def exists(self, register: u32, writing: bool) -> bool:
        """Of x2APIC's, which faults where there is none (10.12.1.2)."""
        if register in (ID, VERSION, PPR, LDR, CURRENT_COUNT) or ISR <= register < ESR:
            return not writing
        if register in (EOI, SELF_IPI):
            return writing
        return register in (TPR, SVR, ESR, ICR, INITIAL_COUNT, DIVIDE) or LVT_TIMER <= register <= LVT_ERROR

    def read(self, register: u32) -> u32:
        """All but the current count. In memory, what does not exist reads as zero."""
        if ISR <= register < TMR:
            return self.isr.words[register - ISR]
        if IRR <= register < ESR:
            if self.news.load_relaxed():
                self._take_posted()
            return self.irr.words[register - IRR]
        if LVT_TIMER <= register <= LVT_ERROR:
            return self.lvt[register - LVT_TIMER]
        match register:
            case 0x02:
                return self.id if self.is_x2apic else self.id << 24
            case 0x03:
                return VERSION_VALUE
            case 0x08:
                return self.tpr
            case 0x0A:
                return self.ppr()
            case 0x0D:
                return self.ldr
            case 0x0E:
                return self.dfr
            case 0x0F:
                return self.svr
            case 0x28:
                return self.esr
            case 0x30:
                return self.icr
            case 0x31:
                return self.icr_high
            case 0x38:
                return self.initial_count
            case 0x3E:
                return self.divide
            case _:
                return 0

    def write(self, register: u32, value: u32) -> Effect:
        if LVT_TIMER <= register <= LVT_ERROR:
            return self._write_lvt(register - LVT_TIMER, value)
        match register:
            case 0x08:
                self.tpr = value & 0xFF
            case 0x0B:
                self.end()
            case 0x0D:
                self.ldr = value & 0xFF00_0000
            case 0x0E:
                self.dfr = value | 0x0FFF_FFFF
            case 0x0F:
                self._write_svr(value)
            case 0x28:
                self.esr = self.errors
                self.errors = 0
            case 0x30:
                self.icr = value & ~ICR_BUSY & 0x000C_CFFF
                return Effect.SEND
            case 0x31:
                self.icr_high = value
            case 0x38:
                self.initial_count = value
                return Effect.TIMER
            case 0x3E:
                self.divide = value & 0xB
                return Effect.TIMER
            case 0x3F:
                self.icr = value & 0xFF | 1 << 18
                return Effect.SEND
            case _:
                pass
        return Effect.NOTHING

    def _write_svr(self, value: u32) -> None:
        """Local vectors cannot be unmasked while the APIC is off."""
        self.svr = value & 0x1FF
        if self.svr & ENABLED == 0:
            for i in range(LVTS):
                self.lvt[i] |= MASKED

    def _write_lvt(self, index: u32, value: u32) -> Effect:
        kept = value & LVT_WRITABLE[index]
        self.lvt[index] = kept if self.svr & ENABLED != 0 else kept | MASKED
        return Effect.TIMER if index == 0 else Effect.NOTHING

    def turn_x2apic_on(self) -> None:
        self.base |= X2APIC
        self.ldr = self._cluster_address()

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
        if self.is_x2apic:
            return self.ldr >> 16 == destination >> 16 and self.ldr & destination & 0xFFFF != 0
        own = self.ldr >> 24
        if self.dfr == FLAT:
            return own & destination & 0xFF != 0
        return own >> 4 == destination >> 4 & 0xF and own & destination & 0xF != 0

    # The timer

    @property
    def divider(self) -> u64:
        """10.5.4: powers of two from 2 on, and 1."""
        shift = (self.divide & 3 | self.divide >> 1 & 4) + 1 & 7
        return u64(1) << shift

    @property
    def timer_vector(self) -> u8:
        return u8(self.lvt[0] & 0xFF)

    @property
    def timer_mode(self) -> u32:
        return self.lvt[0] & MODE
