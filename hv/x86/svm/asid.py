"""Address space identifiers: what tells a vCPU's translations in a CPU's TLB from all others' (AMD APM 2, 15.16).

Each CPU gives its own numbers away in turn. When they have run out, all of its TLB is forgotten and a new generation
begins; a vCPU whose number is of an older one, or was given by another CPU, gets a new one before it runs. A vCPU that
comes back to a CPU where it ran before does not get its old number: what it told the TLBs meanwhile, this one did not
hear. Neither is a number kept when the guest's physical map has changed, unless the CPU can forget what one number has.
"""

from hv.lang import u32, u64
from hv.x86.svm.vmcb import TlbControl


class AsidPool:
    """One CPU's."""

    limit: u32  # numbers below this, 0 excepted, are guests'
    next: u32
    generation: u64

    def init(self, limit: u32) -> None:
        assert limit >= 2, "no address space identifiers"
        self.limit = limit
        self.next = 1
        self.generation = 1


class Asid:
    """One vCPU's."""

    number: u32  # 0: it never had one
    cpu: u32  # that gave it
    generation: u64  # of that CPU
    epoch: u64  # of the guest's physical map (hv/x86/tlb.py), up to which its translations are right

    def renew(self, pool: AsidPool, cpu: u32, epoch: u64, can_flush_one: bool) -> TlbControl:
        """Before an entry on this CPU: what the TLB has to forget with it."""
        if self.number != 0 and self.cpu == cpu and self.generation == pool.generation:
            if self.epoch == epoch:
                return TlbControl.NOTHING
            if can_flush_one:
                self.epoch = epoch
                return TlbControl.THIS
        control = TlbControl.NOTHING
        if pool.next == pool.limit:
            pool.generation += 1
            pool.next = 1
            control = TlbControl.ALL
        self.number = pool.next
        pool.next += 1
        self.cpu = cpu
        self.generation = pool.generation
        self.epoch = epoch
        return control
