"""What hangs on a domain and on a vCPU that run in a hardware virtual machine, whichever extension it is.

A vCPU's part is the CPU's that has it loaded, and nobody's otherwise.
"""

from hv.arch import ticks
from hv.common.kernel.log import RateLimit
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import Embedded, Errno, Extension, Final, array, raises, truncate, u32, u64
from hv.x86.context import VcpuContext
from hv.x86.hvm.components import offered_components
from hv.x86.hvm.cpuid_policy import CpuidPolicy
from hv.x86.hvm.event import NOTHING, Event
from hv.x86.hvm.fpu import Fpu
from hv.x86.hvm.virtualisation import virtualisation

DEBUG_ADDRESSES: Final = 4


class HvmDomain(Extension[Domain]):
    complaints: RateLimit  # lines about what its vCPUs did
    cpuid: Embedded[CpuidPolicy]
    tsc_offset: u64  # from the boot CPU's counter, modulo 2**64: the guest's counts from the domain's beginning

    @property
    def tsc(self) -> u64:
        """The guest's counter now."""
        return ticks() + self.tsc_offset

    def init(self, owner: Domain) -> None:
        self.tsc_offset = ~ticks() + 1
        self.cpuid.init(truncate(u32, offered_components()), owner.config.vcpus)


class HvmVcpu(Extension[Vcpu]):
    context: Embedded[VcpuContext]
    fpu: Embedded[Fpu]
    in_flight: Event  # what was being delivered when the vCPU came out, and has to be delivered again
    raised: Event  # an exception that it takes next
    accepted: u32  # the vector that its local APIC gave it last; NO_VECTOR: it was an upcall that went in
    debug_addresses: array[u64, DEBUG_ADDRESSES]
    tsc_aux: u64

    @raises
    def init(self, owner: Vcpu) -> None:
        """ENOMEM."""
        self.in_flight = NOTHING
        self.raised = NOTHING
        virtualisation().make(owner)
        try:
            self.fpu.make()
        except Errno:
            virtualisation().discard(owner)
            raise

    def teardown(self, owner: Vcpu) -> None:
        self.fpu.discard()
        virtualisation().discard(owner)
