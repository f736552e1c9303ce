"""When a guest takes NMIs, on a CPU that does not keep that itself (Intel SDM 3A, 6.7.1; AMD APM 2, 8.2.3).

None comes within another: the guest comes out before the next IRET, and goes over that with the trap flag set. The
trap tells that the IRET is over, with the flags that it has loaded. Should it fault first, the guest finds the trap
flag set in what its handler returns to.
"""

from hv.lang import Final, u64
from hv.x86.svm.vmcb import Vmcb

TRAP: Final[u64] = 1 << 8  # RFLAGS.TF
STEPPED: Final[u64] = 1 << 14  # DR6.BS
BREAKPOINTS: Final[u64] = 0xF  # DR6.B0 to B3


class NmiGate:
    closed: bool
    stepping: bool  # over the IRET
    traced: bool  # the guest itself had the trap flag set before it

    def reset(self) -> None:
        self.closed = False
        self.stepping = False

    @property
    def waits_for_return(self) -> bool:
        return self.closed and not self.stepping

    def close(self, vmcb: Vmcb) -> None:
        """The guest takes one at this entry."""
        self.closed = True
        self.stepping = False
        watch_return(vmcb, True)

    def step(self, vmcb: Vmcb) -> None:
        """It is about to execute an IRET."""
        if not self.waits_for_return:
            return
        self.stepping = True
        self.traced = vmcb.rflags & TRAP != 0
        vmcb.rflags |= TRAP
        watch_return(vmcb, False)

    def open(self, vmcb: Vmcb) -> bool:
        """At a #DB of the guest's. Whether it was for this alone; else the guest is to have it."""
        if not self.stepping:
            return False
        self.reset()
        if self.traced:
            return False
        vmcb.dr6 &= ~STEPPED
        vmcb.clean.debug = False
        return vmcb.dr6 & BREAKPOINTS == 0


def watch_return(vmcb: Vmcb, watched: bool) -> None:
    """Whether the guest comes out before the next IRET."""
    vmcb.intercepts1.iret = watched
    vmcb.clean.intercepts = False
