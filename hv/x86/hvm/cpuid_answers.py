"""CPUID as a vCPU sees it: its domain's policy, what depends on the moment, and the leaves that Xen's guests look for.

Source of the leaves from 40000000H: public/arch-x86/cpuid.h.
"""

from hv.common.control.version import ABI_MAJOR, ABI_MINOR
from hv.common.kernel.time import Ticks
from hv.common.model.vcpu import Vcpu
from hv.lang import Final, truncate, u8, u16, u32, u64
from hv.x86.context import RAX, RBX, RCX, RDX
from hv.x86.cpuid import Leaf
from hv.x86.hvm.cpuid_policy import package_bits
from hv.x86.hvm.lapic import apic_id
from hv.x86.hvm.lapic_device import VcpuApic
from hv.x86.hvm.state import HvmDomain, HvmVcpu
from hv.x86.hvm.virtualisation import Register, virtualisation
from hv.x86.timer import clock, to_ns
from hv.x86.tsc_scale import tsc_scale

XEN: Final[u32] = 0x4000_0000
XEN_LEAVES: Final[u32] = 5
HYPERCALL_REGISTER: Final[u32] = 0x4000_0000  # the model-specific register that asks for a hypercall page
TSC_IS_CLOCK: Final[u32] = 1 << 1
HAS_RDTSCP: Final[u32] = 1 << 2
VCPU_ID_PRESENT: Final[u32] = 1 << 3
DOMID_PRESENT: Final[u32] = 1 << 4
HAS_APIC: Final[u32] = 1 << 9
XSAVE_ENABLED: Final[u32] = 1 << 27  # OSXSAVE
KEYS_ENABLED: Final[u32] = 1 << 4  # OSPKE
THREADS: Final[u32] = 1 << 8
CORES: Final[u32] = 2 << 8
CR4_OSXSAVE: Final = 18
CR4_PKE: Final = 22


def answer(vcpu: Vcpu) -> None:
    """Performs the instruction but for its length."""
    context = HvmVcpu.of(vcpu).context
    number = truncate(u32, context.registers[RAX])
    subleaf = truncate(u32, context.registers[RCX])
    leaf = Leaf()
    leaf.eax = 0
    leaf.ebx = 0
    leaf.ecx = 0
    leaf.edx = 0
    if number - XEN <= 0xFF:
        tell_of_xen(vcpu, number - XEN, subleaf, leaf)
    else:
        HvmDomain.of(vcpu.domain).cpuid.find(number, subleaf, leaf)
        complete(vcpu, number, subleaf, leaf)
    context.registers[RAX] = u64(leaf.eax)
    context.registers[RBX] = u64(leaf.ebx)
    context.registers[RCX] = u64(leaf.ecx)
    context.registers[RDX] = u64(leaf.edx)


def complete(vcpu: Vcpu, number: u32, subleaf: u32, leaf: Leaf) -> None:
    control = virtualisation().read(vcpu, Register.CR4)
    if number == 1:
        leaf.ebx |= apic_id(vcpu.id) << 24
        if control >> CR4_OSXSAVE & 1 != 0:
            leaf.ecx |= XSAVE_ENABLED
        if not VcpuApic.of(vcpu).apic.is_reachable:
            leaf.edx &= ~HAS_APIC
    elif number == 0xB:
        tell_of_topology(vcpu, subleaf, leaf)
    elif number == 7 and subleaf == 0:
        if control >> CR4_PKE & 1 != 0:
            leaf.ecx |= KEYS_ENABLED
    elif number == 0xD and leaf.eax != 0:
        policy = HvmDomain.of(vcpu.domain).cpuid
        enabled = truncate(u32, HvmVcpu.of(vcpu).fpu.enabled())
        if subleaf == 0:
            leaf.ebx = policy.size_of(enabled)
            leaf.ecx = policy.size_of(leaf.eax)
        elif subleaf == 1:
            leaf.ebx = policy.size_of(enabled)


def tell_of_topology(vcpu: Vcpu, subleaf: u32, leaf: Leaf) -> None:
    """Each vCPU is a core of one thread: numbers count by two, so a core's lowest bit is its thread's."""
    leaf.ecx = subleaf & 0xFF
    leaf.edx = apic_id(vcpu.id)
    if subleaf == 0:
        leaf.eax = 1
        leaf.ebx = 1
        leaf.ecx |= THREADS
    elif subleaf == 1:
        leaf.eax = package_bits(vcpu.domain.config.vcpus)
        leaf.ebx = vcpu.domain.config.vcpus
        leaf.ecx |= CORES


def tell_of_xen(vcpu: Vcpu, offset: u32, subleaf: u32, leaf: Leaf) -> None:
    match offset:
        case 0:
            leaf.eax = XEN + XEN_LEAVES
            leaf.ebx = 0x566E_6558  # "XenVMMXenVMM"
            leaf.ecx = 0x6558_4D4D
            leaf.edx = 0x4D4D_566E
        case 1:
            leaf.eax = ABI_MAJOR << 16 | ABI_MINOR
        case 2:
            leaf.eax = 1  # hypercall pages
            leaf.ebx = HYPERCALL_REGISTER
        case 3:
            tell_of_time(vcpu, subleaf, leaf)
        case 4:
            leaf.eax = VCPU_ID_PRESENT | DOMID_PRESENT
            leaf.ebx = vcpu.id
            leaf.ecx = u32(u16(vcpu.domain.id))
        case _:
            pass


def tell_of_time(vcpu: Vcpu, subleaf: u32, leaf: Leaf) -> None:
    """The time stamp counter is never emulated."""
    domain = HvmDomain.of(vcpu.domain)
    if subleaf == 0:
        leaf.eax = (TSC_IS_CLOCK if clock.reference is None else 0) | (HAS_RDTSCP if domain.cpuid.has_rdtscp else 0)
        leaf.ecx = u32(clock.frequency // 1000)
    elif subleaf == 1:
        scale = tsc_scale()
        start = u64(to_ns(Ticks(~domain.tsc_offset + 1)))
        leaf.eax = truncate(u32, start)
        leaf.ebx = u32(start >> 32)
        leaf.ecx = scale.multiplier
        leaf.edx = u32(truncate(u8, scale.shift))
    elif subleaf == 2:
        leaf.eax = u32(clock.frequency // 1000)
