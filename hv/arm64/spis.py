"""Devices' interrupts that guests own: shared physical interrupts, each forwarded to its domain under its own number.

A physical interrupt comes to the CPU that runs the vCPU to which the guest has routed it, or ran it last. It is taken
there and stays active: it is pending for the guest, whose end of interrupt deactivates it, through the list register
that is linked to it (vgic_lists.py). Meanwhile it does not come again, so a guest that never ends one costs nobody
anything. The guest's enable bit is the physical one's, too.

Ownership ends with the domain: the interrupt is masked, and neither pending nor active. It stays claimed, since the
description that names it may be built again.

`Vgic.lock` protects what a domain owns. `owners` is changed by who builds a domain or takes it apart, and read by the
interrupt's handler: a domain that has left it is not freed before the handler has ended.
"""

from hv.arch import cpu_id
from hv.arm64.controller import Trigger, gic
from hv.arm64.guest_map import NO_VCPU
from hv.arm64.interrupts import interrupts
from hv.arm64.spi_lines import forget, mask, withdraw
from hv.arm64.vgic_state import BANK, FIRST_SHARED, MOST_BANKS, Bank, Vgic, VgicCpu, notify_named
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.lang import Atomic, Errno, Extension, Final, array, bounded, raises, trailing_zeros, u16, u32, unbounded

MOST: Final = MOST_BANKS * BANK


class Ownership:
    owners: array[Atomic[Domain | None], MOST]  # of the shared interrupts, from the first on


ownership: Final = Ownership()


def owner_of(intid: u32) -> Domain | None:
    """The domain that an interrupt of any number belongs to; None: it is no guest's."""
    index = intid - FIRST_SHARED
    return ownership.owners[index].load_acquire() if index < MOST else None


@raises
def assign(domain: Domain, intid: u32, trigger: Trigger) -> None:
    """Gives a domain that is being built, and whose vCPUs are made, a device's interrupt. It is masked until the guest
    enables it. EINVAL: no such shared interrupt, or none that the domain's controller has. EBUSY: it has an owner.
    """
    vgic = Vgic.of(domain)
    if intid < FIRST_SHARED or intid >= vgic.limit:
        raise Errno.EINVAL
    index = intid - FIRST_SHARED
    line = interrupts.lines[intid]
    if not line.claimed:
        interrupts.claim(intid, trigger, raised, forwarded=True, enabled=False)
    elif not line.forwarded or ownership.owners[index].load_acquire() is not None:
        raise Errno.EBUSY
    first = Vcpus.of(domain).find(0)
    assert first is not None, "an interrupt for a domain without vCPUs"
    interrupts.route(intid, first.processor)
    bank = vgic.shared[index // BANK]
    with vgic.lock:
        vgic.owns_devices = True
        bank.physical[index % BANK] = u16(intid)
        bank.assigned |= u32(1) << index % BANK
    ownership.owners[index].store_release(domain)


class Spis(Extension[Domain]):
    released: u32  # banks whose interrupts are given back

    def teardown(self, owner: Domain) -> None:
        for _ in range(MOST_BANKS):
            if self.teardown_step(owner):
                return

    def teardown_step(self, owner: Domain) -> bool:
        """Gives back the interrupts of one bank."""
        vgic = Vgic.of(owner)
        if not vgic.owns_devices or self.released == vgic.banks:
            return True
        bank = vgic.shared[self.released]
        first = self.released * BANK
        with vgic.lock:
            mask(bank, bank.assigned)
            forget(bank, bank.assigned)
            bank.forwarded |= bank.assigned  # one may have been taken, whose handler has yet to tell
            withdraw(bank, bank.assigned)
            _disown(bank, first)
        self.released += 1
        return self.released == vgic.banks


@unbounded("each step takes one bit of a word")
def _disown(bank: Bank, first: u32) -> None:
    left = bank.assigned
    bank.assigned = 0
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        ownership.owners[first + i].store_release(None)


def raised(intid: u32) -> None:
    """The physical interrupt has come, and is active from here on."""
    index = intid - FIRST_SHARED
    domain = ownership.owners[index].load_acquire()
    if domain is None:
        gic.driver.make_inactive(intid)  # its domain has gone in the moment before
        return
    vgic = Vgic.of(domain)
    bank = vgic.shared[index // BANK]
    bit = u32(1) << index % BANK
    whom = u16(NO_VCPU)
    with vgic.lock:
        if bank.assigned & bit == 0:
            gic.driver.make_inactive(intid)
        elif bank.linked & bit == 0:
            bank.forwarded |= bit
            whom = bank.target[index % BANK]
        else:
            bank.again |= bit
            whom = bank.holder[index % BANK]  # where it is folded, which tells its target
    notify_named(domain, whom)


@unbounded("each step takes one bit of a word")
def follow(held: Held[Rank.VGIC], vgic: Vgic, vcpu: Vcpu) -> None:
    """Lets what is for a vCPU come to this CPU, which has just loaded it."""
    cpu = VgicCpu.of(vcpu)
    here = cpu_id()
    if cpu.followed == here + 1:
        return
    cpu.followed = here + 1
    for n in bounded(vgic.banks, MOST_BANKS):
        bank = vgic.shared[n]
        left = bank.assigned
        while left != 0:
            i = trailing_zeros(left)
            left &= left - 1
            if u32(bank.target[i]) == vcpu.id:
                interrupts.route(u32(bank.physical[i]), here)


def retarget(domain: Domain, bank: Bank, i: u32) -> None:
    """After a guest has changed which vCPU one of its assigned interrupts is for. Under `Vgic.lock`."""
    vcpu = Vcpus.of(domain).find(u32(bank.target[i]))
    if vcpu is not None:
        followed = VgicCpu.of(vcpu).followed
        interrupts.route(u32(bank.physical[i]), followed - 1 if followed != 0 else vcpu.processor)
