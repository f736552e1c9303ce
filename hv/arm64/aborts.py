"""A guest's data and instruction aborts: accesses to emulated devices, and faults (Arm DDI 0487, ESR_EL2: ISS of
aborts).

An access that stage 2 refused although it now allows it came in the moment of a change of the map: the guest does it
again. What nothing stands behind ends in an external abort, as on a bus where nobody answers.
"""

from hv.arm64 import mmio
from hv.arm64.complain import complain_of_address
from hv.arm64.context import VcpuContext
from hv.arm64.cpu import instruction_barrier, translate_guest_read
from hv.arm64.el1 import PAR_EL1
from hv.arm64.inject import EXTERNAL, EXTERNAL_ON_WALK, inject_data_abort, inject_instruction_abort
from hv.arm64.mmio import Device
from hv.arm64.syndrome import Syndrome, fault_in_words, instruction_length
from hv.arm64.sysreg import FAR_EL2, HPFAR_EL2
from hv.arm64.workarounds import workarounds
from hv.common.builder.lifecycle import description_of
from hv.common.mm.format import Access
from hv.common.mm.p2m import GuestKind
from hv.common.mm.types import Gaddr, gfn_of
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.config import CONFIG_ERRATUM_834220
from hv.lang import Bits, Field, Final, u32, u64


class DataAbort(Bits[u64]):
    """The ISS of a data abort."""

    status = Field(5, 0)
    write = Field(6)
    on_walk = Field(7)  # S1PTW: of the guest's own tables
    maintenance = Field(8)
    wide = Field(15)  # SF: the register has 64 bits
    register = Field(20, 16)
    sign_extend = Field(21)
    size = Field(23, 22)  # the binary logarithm of its bytes
    decoded = Field(24)  # ISV: the five above say what the instruction does


TRANSLATION: Final[u64] = 0x04  # kinds of fault, but for the level
ACCESS_FLAG: Final[u64] = 0x08
PERMISSION: Final[u64] = 0x0C
KIND: Final[u64] = 0x3C
LEVEL: Final[u64] = 3

PAGE_OFFSET: Final[u64] = 0xFFF
FAULTING_FRAME: Final[u64] = 0xFFF_FFFF_FFF0  # HPFAR_EL2: bits 47:12 of the address
FRAME: Final[u64] = 0xF_FFFF_FFFF_F000  # PAR_EL1
FAILED: Final[u64] = 1  # PAR_EL1: the translation faulted
UNKNOWN_ADDRESS: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF

ZERO_REGISTER: Final[u64] = 31


def data_abort(vcpu: Vcpu, context: VcpuContext, syndrome: Syndrome) -> None:
    abort = DataAbort(syndrome.iss)
    if abort.status & KIND == TRANSLATION and not abort.on_walk:
        address = faulting_address()
        if CONFIG_ERRATUM_834220 and workarounds.distrusts_fault_address:
            address = translated(FAR_EL2.read())
            if address == UNKNOWN_ADDRESS:
                return
        if abort.decoded and address & (u64(1) << abort.size) - 1 == 0:
            device = mmio.device_at(vcpu, address)
            if device != Device.NONE:
                emulate(vcpu, context, abort, device, address)
                context.advance(instruction_length(syndrome))
                return
    refuse_data(vcpu, context, syndrome)


def emulate(vcpu: Vcpu, context: VcpuContext, abort: DataAbort, device: Device, address: u64) -> None:
    size = u32(1) << abort.size
    register = abort.register
    if abort.write:
        value = 0 if register == ZERO_REGISTER else context.x[register]
        mmio.write(vcpu, device, address, size, value & mask_of(size))
        return
    put_result(context, abort, mmio.read(vcpu, device, address, size))


def put_result(context: VcpuContext, abort: DataAbort, value: u64) -> None:
    """What a load has read: as many bytes of the value as it asked for."""
    size = u32(1) << abort.size
    result = value & mask_of(size)
    if abort.sign_extend:
        result = sign_extended(result, size, abort.wide)
    if abort.register != ZERO_REGISTER:
        context.x[abort.register] = result


def is_unmapped(abort: DataAbort) -> bool:
    """A plain load or store where stage 2 has nothing."""
    return abort.status & KIND == TRANSLATION and not abort.on_walk and not abort.maintenance and abort.decoded


def reads_as_ones(vcpu: Vcpu, address: u64) -> bool:
    """The domain asks for it (`trap-unmapped-accesses` of its node is 0), and no device is there."""
    description = description_of(vcpu.domain)
    return description is not None and description.reads_as_ones and mmio.device_at(vcpu, address) == Device.NONE


def mask_of(size: u32) -> u64:
    return ~u64(0) >> 64 - 8 * size


def sign_extended(value: u64, size: u32, wide: bool) -> u64:
    if value >> 8 * size - 1 & 1 == 0:
        return value
    extended = value | ~mask_of(size)
    return extended if wide else extended & 0xFFFF_FFFF


def refuse_data(vcpu: Vcpu, context: VcpuContext, syndrome: Syndrome) -> None:
    """A data abort that no device's emulation answers."""
    abort = DataAbort(syndrome.iss)
    wanted = Access.W if abort.write and not abort.on_walk else Access.R
    address = address_of_fault(abort.status, abort.on_walk)
    if address == UNKNOWN_ADDRESS or is_allowed(vcpu, address, abort.status, wanted):
        return
    if is_unmapped(abort) and reads_as_ones(vcpu, address):
        if not abort.write:
            put_result(context, abort, ~u64(0))
        context.advance(instruction_length(syndrome))
        return
    status = EXTERNAL_ON_WALK | abort.status & LEVEL if abort.on_walk else EXTERNAL
    why = reason(vcpu, address, syndrome, abort.on_walk)
    if mmio.device_at(vcpu, address) != Device.NONE and not abort.on_walk:
        why = "no plain, aligned load or store of one register"
    complain_of_address(vcpu, what(abort), address, why, "external abort injected")
    inject_data_abort(context, syndrome, FAR_EL2.read(), status)


def what(abort: DataAbort) -> str:
    if abort.on_walk:
        return "data abort (table walk)"
    if abort.maintenance:
        return "data abort (cache maintenance)"
    return "data abort (write)" if abort.write else "data abort (read)"


def instruction_abort(vcpu: Vcpu, context: VcpuContext, syndrome: Syndrome) -> None:
    abort = DataAbort(syndrome.iss)
    wanted = Access.R if abort.on_walk else Access.X
    address = address_of_fault(abort.status, abort.on_walk)
    if address == UNKNOWN_ADDRESS or is_allowed(vcpu, address, abort.status, wanted):
        return
    status = EXTERNAL_ON_WALK | abort.status & LEVEL if abort.on_walk else EXTERNAL
    why = reason(vcpu, address, syndrome, abort.on_walk)
    complain_of_address(vcpu, "instruction abort", address, why, "external abort injected")
    inject_instruction_abort(context, FAR_EL2.read(), status)


def faulting_address() -> u64:
    """The guest-physical address, where the fault is one that HPFAR_EL2 is valid for."""
    return (HPFAR_EL2.read() & FAULTING_FRAME) << 8 | FAR_EL2.read() & PAGE_OFFSET


def address_of_fault(status: u64, on_walk: bool) -> u64:
    """The guest-physical address of any abort. UNKNOWN_ADDRESS: the guest's tables have changed meanwhile, so it may
    try again.
    """
    kind = status & KIND
    if on_walk or kind == ACCESS_FLAG or kind == 0:
        return faulting_address()
    if kind == TRANSLATION and not (CONFIG_ERRATUM_834220 and workarounds.distrusts_fault_address):
        return faulting_address()
    return translated(FAR_EL2.read())


def translated(far: u64) -> u64:
    """What the guest's tables make of the address that faulted. UNKNOWN_ADDRESS: they have none for it any more, or,
    where a fault of theirs was reported as one of stage 2 (erratum 834220), never had."""
    kept = PAR_EL1.read()
    translate_guest_read(far)
    instruction_barrier()
    result = PAR_EL1.read()
    PAR_EL1.write(kept)
    return UNKNOWN_ADDRESS if result & FAILED != 0 else result & FRAME | far & PAGE_OFFSET


def is_allowed(vcpu: Vcpu, address: u64, status: u64, wanted: Access) -> bool:
    """Whether stage 2 has changed, and lets the access pass now."""
    kind = status & KIND
    if kind != TRANSLATION and kind != PERMISSION and kind != ACCESS_FLAG:
        return False
    return wanted in DomainMemory.of(vcpu.domain).p2m.lookup(gfn_of(Gaddr(address))).access


def reason(vcpu: Vcpu, address: u64, syndrome: Syndrome, on_walk: bool) -> str:
    match syndrome.iss & KIND:
        case 0x04:
            return "no such address" if not on_walk else "a translation table has no such address"
        case 0x0C:
            kind = DomainMemory.of(vcpu.domain).p2m.lookup(gfn_of(Gaddr(address))).kind
            if kind == GuestKind.DEVICE:
                return "devices hold neither code nor translation tables"
            return "this memory is read-only"
        case _:
            return fault_in_words(syndrome)
