"""Any load and store that a guest makes where its interrupt controller and UART are, from the trap on: the vCPU goes on
behind it with a value of the width that it asked for, or takes an abort; and what no register takes changes nothing.
"""

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.arm64.board import ARM, FRAMES, GICC, GICD, GICR, UART, Board

VCPUS = 2
BANKS = 2  # of shared interrupts
RAM = 0x4000_0000
VECTORS = 0x8000
PSTATE = 0x3C5
DATA_ABORT, LONG = 0x24 << 26, 1 << 25
DECODED, WIDE, SIGNED, WRITE, TRANSLATION = 1 << 24, 1 << 15, 1 << 21, 1 << 6, 0x7
ZERO_REGISTER = 31
ONES = (1 << 64) - 1

BITS, PRIORITIES, TARGETS, CONFIGURATION, CONFIGURATION_END, ROUTES = 0x80, 0x400, 0x800, 0xC00, 0xD00, 0x6000
SGIR, SENDERS, SENDERS_END = 0xF00, 0xF10, 0xF30
DR, WRITTEN = 0, (0x00, 0x04, 0x38, 0x44)  # of the UART: data; registers that a write changes


class Access(NamedTuple):
    address: int
    size: int
    write: bool
    value: int
    register: int
    signed: bool
    wide: bool

    @property
    def aligned(self) -> bool:
        return self.address % self.size == 0

    @property
    def syndrome(self) -> int:
        iss = DECODED | (self.size.bit_length() - 1) << 22 | self.register << 16 | TRANSLATION
        iss |= (WRITE if self.write else 0) | (SIGNED if self.signed else 0) | (WIDE if self.wide else 0)
        return DATA_ABORT | LONG | iss


def accesses(*pages: tuple[int, int]) -> st.SearchStrategy[list[Access]]:
    """Anywhere in the pages, each by base and size, 4 KiB at least, and often where the registers are."""
    anywhere = [st.integers(base, base + size - 1) for base, size in pages]
    often = [st.integers(base, base + 0xFFF) for base, _ in pages]
    words = [st.integers(base >> 2, base + 0xFFF >> 2).map(lambda word: word << 2) for base, _ in pages]
    one = st.builds(
        Access,
        st.one_of(*anywhere, *often, *words),
        st.sampled_from([1, 2, 4, 8]),
        st.booleans(),
        st.integers(0, ONES) | st.just(ONES),
        st.integers(0, ZERO_REGISTER),
        st.booleans(),
        st.booleans(),
    )
    return st.lists(one, max_size=40)


class Guest:
    """Two vCPUs with a UART into which somebody has typed; the first runs."""

    def __init__(self, gicv2: bool) -> None:
        self.gicv2 = gicv2
        self.board = Board(1, 4, gicv2)
        self.vcpus = self.board.make_guest(VCPUS, uart=True)
        self.vcpu = self.vcpus[0]
        self.board.guest.state = 1
        self.board.core("vcpu_up", self.vcpu, RAM, 0)
        assert self.board.core("settle") == self.vcpu
        self.context = self.board.context(self.vcpu)
        self.vgic = self.board.extension(self.board.guest, "vgic_state_Vgic")
        self.port = self.board.extension(self.board.guest, "vpl011_Vpl011")
        assert self.vgic.banks == BANKS
        for byte in b"typed":
            self.board.call(f"{ARM}vpl011.Vpl011.deliver", self.port, byte)
        self.board["vbar_el1"] = VECTORS

    def do(self, access: Access) -> None:
        self.board["far_el2"] = access.address
        self.board["hpfar_el2"] = access.address >> 12 << 4
        self.context.pc, self.context.pstate = RAM, PSTATE
        if access.register != ZERO_REGISTER:
            self.context.x[access.register] = access.value
        before, state = self.words(), self.state()
        emulated = access.aligned and self.board.call(f"{ARM}mmio.device_at", self.vcpu, access.address) != 0
        self.board.call(f"{ARM}exits.handle", self.vcpu, self.context, access.syndrome)
        after = self.words()
        if not emulated:
            assert self.context.pc == VECTORS + 0x200
            assert after == before
        else:
            assert (self.context.pc, self.context.pstate) == (RAM + 4, PSTATE)
            if not access.write and access.register != ZERO_REGISTER:
                self.fits(access, after[access.register])
                after[access.register] = before[access.register]
            assert after == before
        if not (emulated and self.takes(access)):
            assert self.state() == state, access

    def fits(self, access: Access, found: int) -> None:
        bits = 8 * access.size
        extended = 64 if access.wide else max(bits, 32)
        if access.signed and found >> bits - 1 & 1:
            assert found >> bits == (1 << extended) - 1 >> bits
        else:
            assert found >> bits == 0

    def words(self) -> list[int]:
        return [self.context.x[i] for i in range(31)]

    def state(self) -> Any:
        """What of the devices a guest's accesses can change."""
        banks = [self.vgic.shared[i] for i in range(BANKS)]
        banks += [self.board.extension(vcpu, "vgic_state_VgicCpu").private for vcpu in self.vcpus]
        senders = [bytes(self.board.extension(vcpu, "vgic_state_VgicCpu").senders) for vcpu in self.vcpus]
        port = self.port
        return (
            self.vgic.groups,
            list(self.vgic.routes),
            [
                (b.enabled, b.group1, b.edge, b.latched, b.line, b.active, b.linked, bytes(b.priority), list(b.target))
                for b in banks
            ],
            senders,
            (port.mask, port.raised, port.status, self.board.call(f"{ARM}vpl011.Vpl011.read", port, 0x18)),
        )

    def takes(self, access: Access) -> bool:
        """Whether some register does something with it."""
        at = access.address
        if UART <= at < UART + 0x1000:
            return at - UART in WRITTEN if access.write else at == UART + DR
        if not access.write:
            return False
        if at >= GICR and not self.gicv2:
            offset = (at - GICR) % FRAMES - 0x1_0000
            return self.in_bank(offset, access.size, own=True) and offset < CONFIGURATION
        if self.gicv2 and at >= GICC:
            return at == GICC + 0x1000 and access.size == 4
        offset = at - GICD
        if offset == 0 or (self.gicv2 and offset == SGIR):
            return access.size == 4
        if self.gicv2 and (TARGETS + 32 <= offset < TARGETS + 32 + 32 * BANKS or SENDERS <= offset < SENDERS_END):
            return access.size in (1, 4)
        if not self.gicv2 and ROUTES + 8 * 32 <= offset < ROUTES + 8 * (32 + 32 * BANKS):
            return access.size >= 4
        return self.in_bank(offset, access.size, own=self.gicv2) or self.in_bank(offset, access.size, own=False)

    def in_bank(self, offset: int, size: int, own: bool) -> bool:
        """A register of the shared interrupts, or of a vCPU's own."""
        numbers = range(1) if own else range(1, BANKS + 1)
        if BITS <= offset < PRIORITIES:
            return size == 4 and offset % 0x80 // 4 in numbers
        if PRIORITIES <= offset < TARGETS:
            return size in (1, 4) and (offset - PRIORITIES) // 32 in numbers
        return CONFIGURATION <= offset < CONFIGURATION_END and size == 4 and (offset - CONFIGURATION) // 8 in numbers


V3_PAGES = ((GICD, 0x1_0000), *((GICR + 0x1_0000 * i, 0x1_0000) for i in range(2 * VCPUS + 1)), (UART, 0x1000))
V2_PAGES = ((GICD, 0x1000), (GICC + 0x1000, 0x1000), (UART, 0x1000))


@given(each=accesses(*V3_PAGES))
@settings(max_examples=150)
def test_any_access_to_a_gicv3s_registers(each: list[Access]) -> None:
    go_through(Guest(gicv2=False), each)


@given(each=accesses(*V2_PAGES))
@settings(max_examples=150)
def test_any_access_to_a_gicv2s_registers(each: list[Access]) -> None:
    go_through(Guest(gicv2=True), each)


def go_through(guest: Guest, each: list[Access]) -> None:
    for access in each:
        guest.do(access)
    guest.board.way_in()
    guest.board.interface.check()


@pytest.mark.parametrize("gicv2", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_every_register_in_every_width(gicv2: bool, size: int) -> None:
    """Ones stored at each address, aligned or not, and loaded again."""
    guest = Guest(gicv2)
    places = [UART + at for at in range(0x60)] + [UART + at for at in range(0xFD0, 0x1000)]
    places += [GICD + at for at in (*range(0x500), *range(0xBF0, 0xD08), *range(0xEF0, 0xF40))]
    if gicv2:
        places += [GICC + 0x1000 + at for at in range(0x20)] + [GICD + at for at in range(0x7F0, 0x880)]
    else:
        places += [GICD + at for at in (*range(0x60F0, 0x6310), *range(0xFFC0, 0x1_0000))]
        places += [
            GICR + frame + at for frame in (0, 0x1_0000, 0x3_0000) for at in (*range(0x500), *range(0xC00, 0xC10))
        ]
    for place in places:
        for write in (True, False):
            guest.do(Access(place, size, write, ONES, 1, False, False))
    guest.board.way_in()
    guest.board.interface.check()
