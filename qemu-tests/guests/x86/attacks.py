"""What the hostile unikernel does in its rounds. Nothing here expects an answer; all of it must come back."""

from guests.lib.random import Random
from guests.x86.lib.cpu import flush, write32
from guests.x86.lib.exceptions import cpu_of
from guests.x86.lib.hypercall import POWER_OFF, end, hypercall5
from guests.x86.lib.interrupts import APIC_PAGE, DIVIDE, INITIAL_COUNT, LVT_TIMER, SVR, at
from guests.x86.lib.text import line
from hv.lang import (
    Embedded,
    Final,
    Never,
    address_of,
    aligned,
    array,
    extern,
    ptr,
    symbol,
    truncate,
    u8,
    u16,
    u32,
    u64,
)

NMI: Final[u64] = 2
BREAKPOINT: Final[u64] = 3
RETURNS: Final[u64] = 0xC3C3_C3C3_C3C3_C3C3
PAGE_SIZE: Final[u64] = 4096
LINES: Final = 512  # u64 in a page
PRESENT: Final[u64] = 3
NEVER_EXECUTE: Final[u64] = 1 << 63
BLOCK: Final[u64] = 0x83
BLOCK_BYTES: Final[u64] = 0x20_0000
BLOCKS: Final = 2048
TPR: Final[u32] = 0x08
LVTS: Final = 7  # from the thermal sensor's on, the timer's among them
FIRST_LVT: Final[u32] = 0x2F
MASKED: Final[u32] = 1 << 16

EDGE: Final[u64] = 0x4000_0000  # two pages in a row for each CPU, the second of which comes and goes
EDGE_BLOCK: Final[u64] = 0x200
HYPERVISOR: Final[u64] = 0xFFFF_8080_0000_0000
HOLE: Final[u64] = 0x2000_0000

# Instructions by their bytes, the first lowest; none has a zero behind its last (Intel SDM 2; AMD APM 3). rdi is what
# they use as an address; rax, rcx and rdx are wild.
PRIVILEGED: Final[array[u64, 64]] = array(
    0xA20F,  # cpuid
    0x310F,  # rdtsc
    0xF9010F,  # rdtscp
    0x330F,  # rdpmc
    0xD8010F,  # vmrun
    0xDA010F,  # vmload
    0xDB010F,  # vmsave
    0xDC010F,  # stgi
    0xDD010F,  # clgi
    0xDE010F,  # skinit
    0xDF010F,  # invlpga
    0xC8010F,  # monitor
    0xC9010F,  # mwait
    0xFA010F,  # monitorx
    0xFB010F,  # mwaitx
    0xD0010F,  # xgetbv
    0xD1010F,  # xsetbv
    0xD4010F,  # vmfunc
    0xD5010F,  # xend
    0xD7010F,  # enclu
    0xCF010F,  # encls
    0xC1010F,  # vmcall
    0xC2010F,  # vmlaunch
    0xC4010F,  # vmxoff
    0xCA010F,  # clac
    0xCB010F,  # stac
    0xFD010F,  # rdpru
    0xFC010F,  # clzero
    0xFE010F,  # invlpgb
    0xFF010F,  # tlbsync
    0xE8010F,  # setssbsy
    0x080F,  # invd
    0x090F,  # wbinvd
    0x090FF3,  # wbnoinvd
    0x0B0F,  # ud2
    0xC0B90F,  # ud1
    0xC0FF0F,  # ud0
    0xAA0F,  # rsm
    0x370F,  # getsec
    0x340F,  # sysenter
    0x350F,  # sysexit
    0x050F,  # syscall
    0x070F48,  # sysret
    0xF1,  # icebp
    0xCC,  # int3
    0xC0200F44,  # mov rax, cr8
    0xC0220F44,  # mov cr8, rax
    0xC0210F,  # mov rax, dr0
    0xC0230F,  # mov dr0, rax
    0xD8230F,  # mov dr3, rax
    0xF0230F,  # mov dr6, rax
    0x38010F,  # invlpg [rax]
    0x07820F3866,  # invpcid rax, [rdi]
    0x07800F3866,  # invept
    0x07C70F,  # cmpxchg8b-group, no such form
    0x37C70F,  # vmptrld [rdi]
    0x37C70FF3,  # vmxon [rdi]
    0x37C70F66,  # vmclear [rdi]
    0xD0000F,  # lldt ax
    0xD8000F,  # ltr ax
    0x2FFF48,  # jmp far [rdi]
    0xCF48,  # iretq
    0x9D50,  # push rax, popfq
    0x6C,  # insb
)
PORTS: Final[array[u64, 10]] = array(0xEC, 0xED, 0xED66, 0xEE, 0xEF, 0xEF66, 0x6C, 0x6E, 0x6EF3, 0x6DF3)
FORMS: Final = 40
ACCESSES: Final[array[u64, FORMS]] = array(
    0x078A,  # mov al, [rdi]
    0x078B66,  # mov ax, [rdi]
    0x078B,  # mov eax, [rdi]
    0x078B48,  # mov rax, [rdi]
    0x07B60F,  # movzx eax, byte
    0x07B70F,  # movzx eax, word
    0x07BE0F48,  # movsx rax, byte
    0x07BF0F,  # movsx eax, word
    0x076348,  # movsxd
    0x5A07F6,  # test byte [rdi], 0x5a
    0x0784,  # test [rdi], al
    0x0785,  # test [rdi], eax
    0x0739,  # cmp [rdi], eax
    0x073B,  # cmp eax, [rdi]
    0x0703,  # add eax, [rdi]
    0x070B48,  # or rax, [rdi]
    0x0723,  # and eax, [rdi]
    0x0733,  # xor eax, [rdi]
    0x07A30F,  # bt [rdi], eax
    0x07BC0F,  # bsf
    0x07440F,  # cmove
    0x37FF,  # push [rdi]
    0x17FF,  # call [rdi]
    0x27FF,  # jmp [rdi]
    0xA6,  # cmpsb
    0xAC,  # lodsb
    0xAE,  # scasb
    0x0788,  # mov [rdi], al: these change it
    0x078966,  # mov [rdi], ax
    0x0789,  # mov [rdi], eax
    0x078948,  # mov [rdi], rax
    0x0787,  # xchg
    0x0701F0,  # lock add
    0x07FF,  # inc dword
    0x07C10FF0,  # lock xadd
    0x07B10FF0,  # lock cmpxchg
    0xAB,  # stosd
    0x07C30F,  # movnti
    0x072B0F,  # movntps
    0x0FC70F,  # cmpxchg8b
)
OPCODES: Final[array[u8, 12]] = array(
    0x8B, 0x89, 0x03, 0x0B, 0x23, 0x33, 0x3B, 0x87, 0x85, 0x8A, 0x88, 0x39
)  # of accesses by [rdi]
CHANGING: Final = 27  # the first that writes
WINDOW: Final[u64] = 0xFA90FB  # sti; nop; cli


@aligned(4096)
class Page:
    words: array[u64, LINES]


@aligned(4096)
class Pages:
    """Two in a row."""

    bytes: array[u8, 8192]


class Attacker:
    number: u64
    random: Embedded[Random]
    acts: u64
    exceptions: u64
    pattern: u64
    trying: bool
    leaked: u64  # what the vector registers held; 0: what they did before
    stopping: bool
    stopped: bool

    def init(self, number: u64, seed: u64) -> None:
        self.number = number
        self.random.init(seed)
        self.pattern = self.random.word()
        targets[number].words[0] = ended(ACCESSES[2])

    def act(self) -> bool:
        """One wild thing. False: the vector registers do not hold what they did before."""
        if self.acts == 0:
            fill_vectors(self.pattern)
        self.acts += 1
        random = self.random
        match random.below(12):
            case 0 | 1 | 2:
                self._call()
            case 3:
                self._register()
            case 4:
                self._run(PRIVILEGED[random.below(64)], self._anywhere())
            case 5:
                self._port()
            case 6 | 7:
                self._controller()
            case 8:
                self._edge()
            case 9:
                self._spoil()
                self._run_target()
            case 10:
                self._attempt(self._anywhere(), 0)
            case _:
                self._rest()
        if random.chance(4):
            self.leaked = check_vectors(self.pattern)
            if self.leaked != 0:
                return False
            self.pattern = random.word()
            fill_vectors(self.pattern)
        return True

    def _anywhere(self) -> u64:
        """An address where nothing is mapped, or that is none."""
        address = self.random.word() >> self.random.below(64)
        if address < EDGE + 2 * BLOCK_BYTES or (address >> 32 == 0 and address >> 21 == APIC_PAGE >> 21):
            return address | HYPERVISOR
        return address

    def _run(self, instruction: u64, address: u64) -> None:
        self._run_code(ended(instruction), address)

    def _run_code(self, word: u64, address: u64) -> None:
        code = codes[self.number]
        code.words[0] = word
        self._attempt(address_of(code), address)

    def _attempt(self, code: u64, address: u64) -> None:
        self.trying = True
        attempt(code, address, self.random.word(), self.number)
        self.trying = False

    # Hypercalls

    def _call(self) -> None:
        random = self.random
        number = random.word() if random.chance(8) else random.below(64)
        first = random.below(32)
        if is_suicide(number, first):
            return
        self._fill_scratch()
        second = self._argument()
        if number == MULTICALL:
            self._fill_calls()
            first = address_of(scratch[self.number])
            second = random.below(CALLS + 1)
        hypercall5(number, first, second, self._argument(), self._argument(), self._argument())
        set_edge(self.number, self.random.chance(2))

    def _argument(self) -> u64:
        random = self.random
        own = address_of(scratch[self.number])
        match random.below(10):
            case 0 | 1 | 2:
                return own + random.below(64) * 8
            case 3:
                return random.below(64)
            case 4:
                return edge_of(self.number) + PAGE_SIZE - random.below(64)
            case 5:
                return address_of(decoy_table)
            case 6:
                return HYPERVISOR + random.below(0x1000_0000)
            case 7:
                return HOLE + random.below(0x1000_0000)
            case 8:
                return own + PAGE_SIZE - random.below(16)
            case _:
                return self._anywhere()

    def _fill_scratch(self) -> None:
        """Words of all magnitudes, and pointers."""
        random = self.random
        own = scratch[self.number]
        for i in range(LINES):
            if i < 32:
                own.words[i] = self._argument() if random.chance(4) else random.word() >> random.below(64)

    def _fill_calls(self) -> None:
        """multicall_entry_t: number, result, six arguments. What lies behind them may say to sleep for ever."""
        own = scratch[self.number]
        for i in range(CALLS):
            number = self.random.below(64)
            first = self.random.below(32)
            if is_suicide(number, first):
                number = 17
            own.words[i * 8] = number
            own.words[i * 8 + 2] = first

    # What comes out of the guest by itself

    def _register(self) -> None:
        """A model-specific register, read or written, in or near the ranges that there are."""
        random = self.random
        base = REGISTERS[random.below(5)]
        register = random.word() if random.chance(8) else base + random.below(0x400)
        try_register(self, truncate(u32, register), random.chance(2))

    def _port(self) -> None:
        port = truncate(u16, self.random.word())
        try_port(self, port, PORTS[self.random.below(10)])

    def _controller(self) -> None:
        """Registers of the local APIC, some in a row."""
        random = self.random
        start = APIC_PAGE + random.below(PAGE_SIZE)
        for i in range(16):
            address = start + u64(i) * 16
            if address < APIC_PAGE + PAGE_SIZE:
                self._access(address)

    def _access(self, address: u64) -> None:
        """Commands to other CPUs are left out: they would end an attempt that is no exception."""
        command = address + 8 > APIC_PAGE + 0x300 and address < APIC_PAGE + 0x320
        which = self.random.below(CHANGING if command else u64(FORMS))
        self._run(ACCESSES[which], address)

    def _edge(self) -> None:
        """An instruction whose bytes are in two pages, the second of which is there, or not, or goes meanwhile."""
        random = self.random
        instruction = ACCESSES[random.below(CHANGING)]
        offset = PAGE_SIZE - 1 - random.below(3)
        place = address_of(edges[self.number]) + offset
        word = ended(instruction)
        for i in range(8):
            ptr[u8](place + u64(i))[0] = truncate(u8, word >> 8 * u32(i))
        set_edge(self.number, random.chance(2))
        self._attempt(edge_of(self.number) + offset, APIC_PAGE + random.below(0x100) * 16)

    def _spoil(self) -> None:
        """Changes the code that another CPU may be executing, by one byte that makes it another instruction, and takes
        away and puts back what stands behind its page's end.
        """
        other = address_of(targets[1 - self.number])
        for i in range(64):
            ptr[u8](other)[0] = OPCODES[self.random.below(12)]
            set_edge(1 - self.number, i & 1 == 0)

    def _run_target(self) -> None:
        """The code that the other CPU changes."""
        for _ in range(16):
            register = self.random.below(0x40)
            if register not in (0x30, 0x31):
                self._attempt(address_of(targets[self.number]), APIC_PAGE + register * 16)

    def _rest(self) -> None:
        self._run(WINDOW, 0)
        recover_controller()


MULTICALL: Final[u64] = 13
CALLS: Final = 8  # in a list
REGISTERS: Final[array[u64, 5]] = array(0, 0x800, 0x4000_0000, 0xC000_0000, 0xC001_0000)

codes: Final[array[Page, 2]] = array()
targets: Final[array[Page, 2]] = array()
scratch: Final[array[Page, 2]] = array()
edges: Final[array[Pages, 2]] = array()
edge_table: Final = Page()
decoy_table: Final = Page()
controller_table: Final = Page()
attackers: Final[array[Attacker, 2]] = array()


def is_suicide(number: u64, first: u64) -> bool:
    """A call that ends this guest, or its CPU for a while, or prints."""
    if number & 0xFFFF_FFFF == 29:
        return first != 0
    if number & 0xFFFF_FFFF == 24:
        return first < 3
    return number & 0xFFFF_FFFF == 18 and first == 0


def try_register(me: Attacker, register: u32, writes: bool) -> None:
    """Those that this program stands on are only read."""
    if writes and register in (0x1B, 0x830, 0xC000_0080, 0x4000_0000):
        return
    instruction: u64 = 0x300F if writes else 0x320F
    me._run_code(0xB9 | u64(register) << 8 | instruction << 40 | RETURNS << 56, me.random.word())  # mov ecx, register


def try_port(me: Attacker, port: u16, instruction: u64) -> None:
    """Text is for people: port 0xE9 is only read."""
    if port == 0xE9 and instruction != 0xEC:
        return
    me._run_code(0xBA | u64(port) << 8 | ended(instruction) << 40, HOLE)  # mov edx, port


def ended(instruction: u64) -> u64:
    """With returns behind it."""
    bits: u32 = 0
    for _ in range(8):
        if instruction >> bits == 0:
            break
        bits += 8
    return instruction | RETURNS << bits


def edge_of(cpu: u64) -> u64:
    return EDGE + cpu * 2 * PAGE_SIZE


def set_edge(cpu: u64, whole: bool) -> None:
    place = address_of(edges[cpu])
    edge_table.words[2 * cpu] = place | PRESENT
    edge_table.words[2 * cpu + 1] = place + PAGE_SIZE | PRESENT if whole else u64(0)
    flush()


def map_little(memory: u64) -> None:
    """Takes away all but the memory, of so many bytes, the local APIC's page, and two pages whose second can go: a wild
    access is a fault of this guest's own.
    """
    blocks = symbol("blocks")
    for i in range(BLOCKS):
        if u64(i) * BLOCK_BYTES >= memory:
            ptr[u64](blocks + u64(i) * 8)[0] = 0
    controller_table.words[0] = APIC_PAGE | PRESENT | NEVER_EXECUTE
    ptr[u64](blocks + (APIC_PAGE >> 21) * 8)[0] = address_of(controller_table) | PRESENT
    ptr[u64](blocks + EDGE_BLOCK * 8)[0] = address_of(edge_table) | PRESENT
    ptr[u64](blocks + (EDGE_BLOCK + 1) * 8)[0] = address_of(decoy_table) | PRESENT
    set_edge(0, True)
    set_edge(1, True)


def recover_controller() -> None:
    """From whatever was written to it."""
    write32(at(SVR), 0x1FF)
    write32(at(TPR), 0)
    write32(at(INITIAL_COUNT), 0)
    write32(at(DIVIDE), 0xB)
    for i in range(LVTS):
        write32(at(FIRST_LVT + u32(i)), MASKED)
    write32(at(LVT_TIMER), MASKED)


def survive(vector: u64, frame: u64) -> None:
    """An exception in an attempt ends it; so does the breakpoint behind it. An NMI may come late."""
    me = attackers[cpu_of(frame)]
    if not me.trying:
        if vector != NMI:
            line(f"CPU {me.number}: exception {vector} at {ptr[u64](frame)[0]:#x}")
            line("DONE hostile fail exception")
            end(POWER_OFF)
        return
    if vector != BREAKPOINT or ptr[u64](frame)[0] != came_back_at():
        me.exceptions += 1
    resume(me.number)


@extern
def attempt(code: u64, a: u64, b: u64, cpu: u64) -> None: ...


@extern
def resume(cpu: u64) -> Never: ...


@extern
def came_back_at() -> u64: ...


@extern
def fill_vectors(pattern: u64) -> None: ...


@extern
def check_vectors(pattern: u64) -> u64: ...
