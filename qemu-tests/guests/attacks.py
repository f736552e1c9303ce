"""What the hostile unikernel does in its rounds. Nothing here expects an answer; all of it must come back."""

from guests.accesses import ACCESSES, PLAIN, access
from guests.attempts import Attempts, attempts
from guests.lib import gicv2, timer, uart
from guests.lib.controller import DISTRIBUTOR, interrupts
from guests.lib.cpu import interrupt_window
from guests.lib.gic import gic, has_registers
from guests.lib.gicv3 import DISTRIBUTOR_SIZE, REDISTRIBUTOR_SIZE, REDISTRIBUTORS
from guests.lib.hypercall import hvc, smc
from guests.lib.mmio import write32
from guests.lib.random import Random
from guests.probes import fill_registers, has_registers_of
from guests.storms import OPERATIONS, send_wildly
from guests.verdict import recover_devices
from hv.lang import Embedded, Final, SystemRegister, array, asm, extern, truncate, u32, u64

CNTP_CTL_EL0: Final = SystemRegister("cntp_ctl_el0")
PHYSICAL_TIMER: Final = 30  # its interrupt

MEMORY: Final[u64] = 0x4000_0000  # the guest's own, which it needs
MEMORY_MASK: Final[u64] = 0xFFFF_FFFF_F800_0000  # 128 MiB from there are left alone
GICV2_END: Final[u64] = gicv2.INTERFACE + gicv2.INTERFACE_SIZE + 0x1000
ATTACKED_REDISTRIBUTORS: Final[u64] = 0x8_0000  # bytes: two that are there, and as much behind

STORM: Final = 64
LONGEST_SLEEP: Final[u64] = 10_000  # ticks

# Beginnings of encodings that are unallocated, or belong to features that a guest is not given
FOREIGN: Final[array[u32, 8]] = array(
    0x0000_0000, 0x0400_0000, 0x2500_0000, 0x4500_0000, 0x6500_0000, 0x8000_0000, 0xA400_0000, 0xE400_0000
)  # fmt: skip
CALLS: Final[array[u32, 4]] = array(0xD400_0001, 0xD400_0002, 0xD400_0003, 0xD420_0000)  # svc, hvc, smc, brk
READ_REGISTER: Final[u32] = 0xD530_0001  # mrs x1, ...
WRITE_REGISTER: Final[u32] = 0xD510_0001  # msr ..., x1
MAINTENANCE: Final[array[u32, 4]] = array(0xD508_7000, 0xD508_8000, 0xD50C_7000, 0xD50C_8000)  # dc, ic, at, tlbi
SUICIDES: Final[array[u64, 8]] = array(1, 2, 8, 9, 0xB, 0xC, 0xE, 0x12)  # PSCI: off, reset, suspend, of CPU or guest


class Attacker:
    number: u64
    random: Embedded[Random]
    acts: u64
    pattern: u64
    leaked: bool
    stopping: bool
    stopped: bool

    def init(self, number: u64, seed: u64) -> None:
        self.number = number
        self.random.init(seed)
        self.pattern = self.random.word()

    def act(self) -> bool:
        """One wild thing. False: its registers do not hold what they did before."""
        if self.acts == 0:
            self._fill()
        self.acts += 1
        random = self.random
        match random.below(18):
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
                self._run(MAINTENANCE[random.below(4)] | truncate(u32, random.below(0x80)) << 5)
            case 10 | 11:
                self._controller()
            case 12:
                self._uart()
            case 13:
                self._storm()
            case 14:
                self._attempts.call(self._anywhere(), 0, 0)
            case 15:
                self._attempts.call(self._device() & ~u64(3), 0, 0)
            case 16:
                for i in range(len(OPERATIONS)):
                    self._run(OPERATIONS[i])
            case _:
                self._rest()
        if random.chance(4):
            if check_fp(self.pattern) != 0 or not has_registers_of(self.pattern):
                return False
            self.pattern = random.word()
            self._fill()
        return True

    def _fill(self) -> None:
        fill_fp(self.pattern)
        fill_registers(self.pattern)

    def _anywhere(self) -> u64:
        """An address of any magnitude that is not the guest's own memory."""
        address = self.random.word() >> self.random.below(64)
        if self.random.chance(2):
            address &= ~u64(7)
        return address ^ 0x10_0000_0000 if address & MEMORY_MASK == MEMORY else address

    def _device(self) -> u64:
        """An address in a page with emulated registers, or just beyond."""
        if self.random.chance(3):
            return uart.BASE + 4 + self.random.below(uart.SIZE)
        return self._controller_register() & ~self.random.below(8)

    def _controller_register(self) -> u64:
        """An address in the interrupt controller or just beyond. A CPU that waits for its timer's interrupt would not
        come back from what another does to it: the distributor and the first redistributor are the first CPU's. Of a
        GICv2's distributor, the registers of SGIs are banked, and every CPU's.
        """
        if not has_registers():
            first_register = DISTRIBUTOR if self.number == 0 else DISTRIBUTOR + gicv2.SGIR
            return first_register + self.random.below(GICV2_END - first_register)
        first = self.number * REDISTRIBUTOR_SIZE
        if self.number == 0 and self.random.chance(2):
            return DISTRIBUTOR + self.random.below(DISTRIBUTOR_SIZE + 0x1000)
        return REDISTRIBUTORS + first + self.random.below(ATTACKED_REDISTRIBUTORS)

    @property
    def _attempts(self) -> Attempts:
        return attempts[self.number]

    def _access(self, address: u64) -> None:
        self._attempts.call(access(self.random.below(ACCESSES)), address, self.random.word())

    def _run(self, instruction: u32) -> None:
        self._attempts.run(instruction, self._anywhere(), self.random.word())

    def _firmware(self) -> None:
        """A call of any number, but for those that end this guest, or its CPU for a while."""
        random = self.random
        function = random.word() & 0xFFFF_FFFF
        if random.chance(2):
            function = 0x8400_0000 | random.below(2) << 30 | random.below(0x20)
        for suicide in SUICIDES:
            if function & 0xBFFF_FFFF == 0x8400_0000 | suicide:
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
        fill_registers(self.pattern)

    def _controller(self) -> None:
        """Registers of the interrupt controller, all in a row from somewhere."""
        start = self._controller_register() & ~u64(7)
        for i in range(STORM):
            self._attempts.call(access(self.random.below(PLAIN)), start + u64(i) * 8, self.random.word())

    def _uart(self) -> None:
        """Registers of the UART but for its data: what it prints is for people."""
        random = self.random
        for _ in range(STORM):
            offset = random.below(uart.SIZE) & ~random.below(8)
            if offset >= 4:
                self._attempts.call(access(random.below(PLAIN)), uart.BASE + offset, random.word())

    def _storm(self) -> None:
        for _ in range(STORM):
            send_wildly(self.random)

    def _rest(self) -> None:
        """Lets interrupts in, or sleeps, after which others have used this CPU's registers."""
        if self.number != 0:
            gic.init_cpu()
            interrupt_window()
            wait_for_event()
        elif self.random.chance(4):
            recover_devices()
            gic.init_cpu()
            gic.enable(timer.INTID)
            timer.sleep(self.random.below(LONGEST_SLEEP))
        else:
            interrupt_window()
            wait_for_event()


attackers: Final[array[Attacker, 2]] = array()


# Interrupts that stay until their device is told: wild writes enable them.


@interrupts.entry(intid=PHYSICAL_TIMER)
def stop_physical_timer() -> None:
    CNTP_CTL_EL0.write(0)


@interrupts.entry(intid=uart.INTID)
def stop_uart() -> None:
    write32(uart.INTERRUPT_MASK, 0)


@asm("wfe")
def wait_for_event() -> None: ...


@extern
def fill_fp(pattern: u64) -> None: ...


@extern
def check_fp(pattern: u64) -> u64: ...
