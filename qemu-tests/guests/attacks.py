"""What the hostile unikernel does in its rounds. Nothing here expects an answer; all of it must come back."""

from guests.lib import gicv3, uart
from guests.lib.cpu import complete_all, cpu, instruction_barrier, interrupt_window, wait_for_interrupt
from guests.lib.exceptions import TrapFrame, handlers
from guests.lib.gicv3 import DISTRIBUTOR, DISTRIBUTOR_SIZE, PRIVATE_FRAME, REDISTRIBUTOR_SIZE, REDISTRIBUTORS
from guests.lib.hypercall import hvc, smc
from guests.lib.mmio import write32
from guests.lib.random import Random
from guests.lib.timer import CNTV_CTL_EL0, CNTV_CVAL_EL0, ENABLE, INTID, counter
from hv.lang import Embedded, Final, SystemRegister, address_of, array, asm, extern, symbol, truncate, u32, u64

ICC_ASGI1R_EL1: Final = SystemRegister("icc_asgi1r_el1")
ICC_SGI0R_EL1: Final = SystemRegister("icc_sgi0r_el1")

MEMORY: Final[u64] = 0x4000_0000  # the guest's own, which it needs
MEMORY_MASK: Final[u64] = 0xFFFF_FFFF_F800_0000  # 128 MiB from there are left alone
ATTACKED_REDISTRIBUTORS: Final[u64] = 0x8_0000  # bytes: two that are there, and as much behind

RET: Final[u32] = 0xD65F_03C0
STORM: Final = 64

# Instructions that use memory at x0, with x1 and x2 (Arm DDI 0487, C4)
ACCESSES: Final[array[u32, 32]] = array(
    0x39400001,  # ldrb w1, [x0]
    0x79400001,  # ldrh w1, [x0]
    0xB9400001,  # ldr w1, [x0]
    0xF9400001,  # ldr x1, [x0]
    0x39000001,  # strb w1, [x0]
    0x79000001,  # strh w1, [x0]
    0xB9000001,  # str w1, [x0]
    0xF9000001,  # str x1, [x0]
    0x39800001,  # ldrsb x1, [x0]
    0x39C00001,  # ldrsb w1, [x0]
    0x79800001,  # ldrsh x1, [x0]
    0xB9800001,  # ldrsw x1, [x0]
    0xF940001F,  # ldr xzr, [x0]
    0xF900001F,  # str xzr, [x0]
    0xF8408401,  # ldr x1, [x0], #8
    0xB8004C01,  # str w1, [x0, #4]!
    0xF8401001,  # ldur x1, [x0, #1]
    0xB8003001,  # stur w1, [x0, #3]
    0xA9400801,  # ldp x1, x2, [x0]
    0xA9000801,  # stp x1, x2, [x0]
    0x3D800000,  # str q0, [x0]
    0xC85F7C01,  # ldxr x1, [x0]
    0xC8027C01,  # stxr w2, x1, [x0]
    0xF8E10002,  # ldaddal x1, x2, [x0]
    0xC8DFFC01,  # ldar x1, [x0]
    0xC89FFC01,  # stlr x1, [x0]
    0xD50B7420,  # dc zva, x0
    0xD50B7E20,  # dc civac, x0
    0xD5087620,  # dc ivac, x0
    0xD5087640,  # dc isw, x0
    0xD50B7520,  # ic ivau, x0
    0xF9800000,  # prfm pldl1keep, [x0]
)
# Beginnings of encodings that are unallocated, or belong to features that a guest is not given
FOREIGN: Final[array[u32, 8]] = array(
    0x0000_0000, 0x0400_0000, 0x2500_0000, 0x4500_0000, 0x6500_0000, 0x8000_0000, 0xA400_0000, 0xE400_0000
)  # fmt: skip
CALLS: Final[array[u32, 4]] = array(0xD400_0001, 0xD400_0002, 0xD400_0003, 0xD420_0000)  # svc, hvc, smc, brk
READ_REGISTER: Final[u32] = 0xD530_0001  # mrs x1, ...
WRITE_REGISTER: Final[u32] = 0xD510_0001  # msr ..., x1
MAINTENANCE: Final[u32] = 0xD508_7000  # dc, ic, at, tlbi with x0


class Attacker:
    number: u64
    random: Embedded[Random]
    rounds: u64
    exceptions: u64
    pattern: u64
    trying: bool
    leaked: bool
    code: array[u32, 4]

    def init(self, number: u64, seed: u64) -> None:
        self.number = number
        self.random.init(seed)
        self.pattern = self.random.word()

    def round(self) -> bool:
        """One wild thing. False: the vector registers do not hold what they did before."""
        if self.rounds == 0:
            fill_fp(self.pattern)
        self.rounds += 1
        random = self.random
        match random.below(16):
            case 0 | 1 | 2:
                self._access(self._anywhere())
            case 3:
                self._access(self._device())
            case 4:
                self._run(FOREIGN[random.below(8)] | truncate(u32, random.word()) & 0x00FF_FFFF)
            case 5:
                self._run(CALLS[random.below(4)] | truncate(u32, random.below(0x1_0000)) << 5)
            case 6:
                self._firmware()
            case 7:
                self._run(READ_REGISTER | truncate(u32, random.below(0x8000)) << 5)
            case 8:
                self._write_register()
            case 9:
                self._run(MAINTENANCE | truncate(u32, random.below(0x80)) << 5)
            case 10 | 11:
                self._controller()
            case 12:
                self._uart()
            case 13:
                self._storm()
            case 14:
                self._jump()
            case _:
                self._rest()
        if random.chance(4):
            if check_fp(self.pattern) != 0:
                return False
            self.pattern = random.word()
            fill_fp(self.pattern)
        return True

    def _anywhere(self) -> u64:
        """An address of any magnitude that is not the guest's own memory."""
        address = self.random.word() >> self.random.below(64)
        if self.random.chance(2):
            address &= ~u64(7)
        return address ^ 0x10_0000_0000 if address & MEMORY_MASK == MEMORY else address

    def _device(self) -> u64:
        """An address in a page with emulated registers, or just beyond."""
        random = self.random
        offset = random.below(0x1_1000) & ~random.below(8)
        match random.below(3):
            case 0:
                return DISTRIBUTOR + offset
            case 1:
                return REDISTRIBUTORS + offset * 8
            case _:
                return uart.BASE + 4 + offset % uart.SIZE

    def _access(self, address: u64) -> None:
        self._run_with(ACCESSES[self.random.below(32)], address)

    def _run(self, instruction: u32) -> None:
        self._run_with(instruction, self._anywhere())

    def _run_with(self, instruction: u32, x0: u64) -> None:
        self.code[0] = instruction
        self.code[1] = RET
        complete_all()
        forget_instructions()
        complete_all()
        instruction_barrier()
        self._attempt(address_of(self.code), x0)

    def _attempt(self, code: u64, x0: u64) -> None:
        self.trying = True
        attempt(code, x0, self.random.word())
        self.trying = False

    def _jump(self) -> None:
        self._attempt(self._anywhere(), 0)

    def _firmware(self) -> None:
        """A call of any number, but for those that end this guest, or its CPU for a while."""
        random = self.random
        function = random.word() & 0xFFFF_FFFF
        if random.chance(2):
            function = 0x8400_0000 | random.below(2) << 30 | random.below(0x20)
        low = function & 0x1F
        if function & 0xBFFF_FFE0 == 0x8400_0000 and low in (1, 2, 8, 9):
            return
        if random.chance(2):
            hvc(function, random.word(), random.word(), random.word())
        else:
            smc(function, random.word(), random.word(), random.word())

    def _write_register(self) -> None:
        """Any but those that this program itself stands on: control, translation, stack and state, vectors, CPU
        number.
        """
        which = truncate(u32, self.random.below(0x8000))
        op1 = which >> 11 & 7
        crn = which >> 7 & 15
        crm = which >> 3 & 15
        if crn == 4 or (op1 == 0 and (crn == 1 or crn == 2 or crn == 13 or (crn == 12 and crm == 0))):
            return
        self._run(WRITE_REGISTER | which << 5)

    def _controller(self) -> None:
        """Registers of the interrupt controller, all in a row from somewhere."""
        random = self.random
        start = (
            DISTRIBUTOR + random.below(DISTRIBUTOR_SIZE)
            if random.chance(2)
            else REDISTRIBUTORS + random.below(ATTACKED_REDISTRIBUTORS)
        )
        for i in range(STORM):
            self._run_with(ACCESSES[random.below(8)], (start & ~u64(7)) + u64(i) * 8)

    def _uart(self) -> None:
        """Registers of the UART but for its data: what it prints is for people."""
        random = self.random
        for _ in range(STORM):
            offset = random.below(uart.SIZE) & ~random.below(8)
            if offset >= 4:
                self._run_with(ACCESSES[random.below(8)], uart.BASE + offset)

    def _storm(self) -> None:
        for _ in range(STORM):
            value = self.random.word()
            if self.random.chance(2):
                value &= 0x10F_0F00_0003
            match self.random.below(4):
                case 0:
                    gicv3.ICC_SGI1R_EL1.write(value | 1 << 40)
                case 1:
                    ICC_SGI0R_EL1.write(value)
                case 2:
                    ICC_ASGI1R_EL1.write(value)
                case _:
                    gicv3.ICC_SGI1R_EL1.write(value)

    def _rest(self) -> None:
        """Lets interrupts in, or sleeps, after which others have used this CPU's registers."""
        match self.random.below(3):
            case 0:
                self._open_interface()
                interrupt_window()
            case 1:
                wait_for_event()
            case _:
                self._sleep()

    def _sleep(self) -> None:
        """Until the timer interrupts, whatever the interrupt controller has been told before."""
        frame = REDISTRIBUTORS + REDISTRIBUTOR_SIZE * self.number + PRIVATE_FRAME
        write32(DISTRIBUTOR, gicv3.AFFINITY_ROUTING | gicv3.ENABLE_GROUP1)
        write32(frame + gicv3.IGROUPR, gicv3.EVERY)
        write32(frame + gicv3.IPRIORITYR + 24, 0)
        self._open_interface()
        CNTV_CVAL_EL0.write(counter() + self.random.below(10_000))
        CNTV_CTL_EL0.write(ENABLE)
        write32(frame + gicv3.ISENABLER, 1 << INTID)
        wait_for_interrupt()

    def _open_interface(self) -> None:
        gicv3.ICC_PMR_EL1.write(0xFF)
        gicv3.ICC_IGRPEN1_EL1.write(1)
        instruction_barrier()


attackers: Final[array[Attacker, 2]] = array()


@handlers.entry()
def survive(frame: TrapFrame) -> bool:
    """An exception in an attempt ends it. One that comes otherwise, such as to a call by SMC, ends the instruction."""
    me = attackers[cpu()]
    me.exceptions += 1
    frame.pc = symbol("recover") if me.trying else frame.pc + 4
    return True


@asm("wfe")
def wait_for_event() -> None: ...


@asm("ic iallu")
def forget_instructions() -> None: ...


@extern
def attempt(code: u64, a: u64, b: u64) -> u64: ...


@extern
def fill_fp(pattern: u64) -> None: ...


@extern
def check_fp(pattern: u64) -> u64: ...
