"""What an SMMUv3 has: registers, and what it reads and writes in memory (Arm IHI 0070: chapter 6, registers; 5, stream
table entries and context descriptors; 4, commands; 7, events).
"""

from hv.lang import Bits, Field, Final, u32, u64

REGISTERS_BYTES: Final[u64] = 0x2_0000  # two pages of 64 KiB

IDR0: Final[u64] = 0x00
IDR1: Final[u64] = 0x04
IDR5: Final[u64] = 0x14
CR0: Final[u64] = 0x20
CR0ACK: Final[u64] = 0x24
CR1: Final[u64] = 0x28
CR2: Final[u64] = 0x2C
GBPA: Final[u64] = 0x44
IRQ_CTRL: Final[u64] = 0x50
IRQ_CTRLACK: Final[u64] = 0x54
GERROR: Final[u64] = 0x60
GERRORN: Final[u64] = 0x64
GERROR_IRQ_CFG0: Final[u64] = 0x68
STRTAB_BASE: Final[u64] = 0x80
STRTAB_BASE_CFG: Final[u64] = 0x88
CMDQ_BASE: Final[u64] = 0x90
CMDQ_PROD: Final[u64] = 0x98
CMDQ_CONS: Final[u64] = 0x9C
EVENTQ_BASE: Final[u64] = 0xA0
EVENTQ_IRQ_CFG0: Final[u64] = 0xB0
EVENTQ_PROD: Final[u64] = 0x1_00A8
EVENTQ_CONS: Final[u64] = 0x1_00AC


class Idr0(Bits[u32]):
    stage2 = Field(0)
    stage1 = Field(1)
    formats = Field(3, 2)  # bit 1 of it: AArch64's
    coherent = Field(4)  # it snoops the CPUs' caches
    el2 = Field(9)
    msi = Field(13)
    big_endian = Field(22, 21)  # 3: nothing else
    stall = Field(25, 24)
    two_level = Field(28, 27)  # of stream tables, 1: there may be two


STALL_FORCED: Final[u32] = 2


class Idr1(Bits[u32]):
    stream_bits = Field(5, 0)
    event_bits = Field(20, 16)  # of the largest queue's number of entries
    command_bits = Field(25, 21)
    queues_preset = Field(29)
    tables_preset = Field(30)


class Idr5(Bits[u32]):
    output_size = Field(2, 0)  # as PARange
    granule_4k = Field(4)


class Cr0(Bits[u32]):
    enabled = Field(0)
    events = Field(2)
    commands = Field(3)


class Cr1(Bits[u32]):
    """How queues and the stream table are accessed. Cacheability 1: write-back; 0: not."""

    queue_inner = Field(1, 0)
    queue_outer = Field(3, 2)
    queue_shareability = Field(5, 4)
    table_inner = Field(7, 6)
    table_outer = Field(9, 8)
    table_shareability = Field(11, 10)


class Cr2(Bits[u32]):
    tells_bad_streams = Field(1)
    private_tlb = Field(2)  # the CPUs' broadcast invalidations do not reach it


class Gbpa(Bits[u32]):
    """What becomes of transactions while it is off."""

    abort = Field(20)
    update = Field(31)


class IrqControl(Bits[u32]):
    errors = Field(0)
    events = Field(2)


class Gerror(Bits[u32]):
    """A bit is an error while it differs from the one in GERRORN."""

    command = Field(0)
    event_write = Field(2)
    service = Field(8)


class StreamTableConfig(Bits[u32]):
    bits = Field(5, 0)
    split = Field(10, 6)
    two_level = Field(17, 16)


# Queues


class QueuePointer(Bits[u32]):
    """PROD and CONS: an entry's number, with a bit above that changes with each wrap. Then, in CONS of the command
    queue, what was wrong with the command that it stands at; of the event queue, whether events were lost, as one
    differs from the other."""

    index = Field(19, 0)
    error = Field(30, 24)
    overflow = Field(31)


class Command(Bits[u64]):
    """The first half of one."""

    opcode = Field(7, 0)
    vmid = Field(47, 32)
    asid = Field(63, 48)


class StreamCommand(Bits[u64]):
    opcode = Field(7, 0)
    stream = Field(63, 32)


COMMAND_BYTES: Final[u64] = 16
CFGI_STE_RANGE: Final[u64] = 0x04  # the second half: 2**(n+1) streams; all of them with ALL_STREAMS
ALL_STREAMS: Final[u64] = 31
TLBI_NH_ASID: Final[u64] = 0x11
TLBI_NH_VA: Final[u64] = 0x12  # the second half: the address
TLBI_EL2_ALL: Final[u64] = 0x20
TLBI_S12_VMALL: Final[u64] = 0x28
TLBI_S2_IPA: Final[u64] = 0x2A  # the second half: the address
TLBI_NSNH_ALL: Final[u64] = 0x30
SYNC: Final[u64] = 0x46  # completion is told by CONS alone

EVENT_BYTES: Final[u64] = 32


class EventHead(Bits[u64]):
    """The first of an event's four words."""

    kind = Field(7, 0)
    stream = Field(63, 32)


class EventAccess(Bits[u64]):
    """The second. The third is the address."""

    fetch = Field(34)
    read = Field(35)


# Streams


class StreamLevel(Bits[u64]):
    """An entry of the first level: 2**(span - 1) entries of the second; 0: none. The rest is their address."""

    span = Field(4, 0)


class StreamHead(Bits[u64]):
    """The first word of a stream table entry. The rest is the context descriptor's address."""

    valid = Field(0)
    config = Field(3, 1)


CONFIG_STAGE1: Final[u64] = 0b101
CONFIG_STAGE2: Final[u64] = 0b110


class StreamAttributes(Bits[u64]):
    """The second. Cacheability 1: write-back, read-allocate, write-allocate."""

    context_inner = Field(3, 2)
    context_outer = Field(5, 4)
    context_shareability = Field(7, 6)
    shareability = Field(45, 44)


AS_IT_COMES: Final[u64] = 1  # the transaction's own shareability


class StreamStage2(Bits[u64]):
    """The third; the fourth is the root's address. What the two halves of VTCR_EL2 say, it has in the same order."""

    vmid = Field(15, 0)
    t0sz = Field(37, 32)
    start = Field(39, 38)
    inner = Field(41, 40)
    outer = Field(43, 42)
    shareability = Field(45, 44)
    granule = Field(47, 46)
    physical_size = Field(50, 48)
    aarch64 = Field(51)
    no_access_flag = Field(53)
    records = Field(58)  # faults become events


class ContextHead(Bits[u64]):
    """The first word of a context descriptor; the second is the root's address, the fourth MAIR."""

    t0sz = Field(5, 0)
    granule = Field(7, 6)
    inner = Field(9, 8)
    outer = Field(11, 10)
    shareability = Field(13, 12)
    no_upper = Field(30)  # no tables for upper addresses
    valid = Field(31)
    physical_size = Field(34, 32)
    no_access_flag = Field(35)
    aarch64 = Field(41)
    records = Field(45)
    aborts = Field(46)
    own_asid = Field(47)  # no CPU's
    asid = Field(63, 48)


ENTRY_WORDS: Final = 8
ENTRY_SIZE: Final[u64] = 64  # of a stream table entry, and of a context descriptor
GROUP_BITS: Final[u32] = 8  # of the streams in one table of the second level
GROUP: Final[u32] = 1 << 8
GROUP_ORDER: Final[u32] = 2  # frames that 256 entries take
