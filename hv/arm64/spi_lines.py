"""What a guest's settings of a device's interrupts do to the physical ones behind them.

The numbers are the same. `Vgic.lock` is held: a bank's owner is who calls.
"""

from hv.arm64.controller import Trigger, gic
from hv.arm64.interrupts import interrupts
from hv.arm64.vgic_state import Bank
from hv.lang import trailing_zeros, u32, unbounded


@unbounded("each step takes one bit of a word")
def unmask(bank: Bank, bits: u32) -> None:
    """They may come. A level that was taken before, and that the guest has not seen, is sampled anew."""
    left = bits
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        intid = u32(bank.physical[i])
        if interrupts.lines[intid].trigger == Trigger.LEVEL:
            withdraw(bank, u32(1) << i & ~bank.linked & ~bank.listed)
        gic.driver.enable(intid)


@unbounded("each step takes one bit of a word")
def mask(bank: Bank, bits: u32) -> None:
    left = bits
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        gic.driver.disable(u32(bank.physical[i]))


@unbounded("each step takes one bit of a word")
def withdraw(bank: Bank, bits: u32) -> None:
    """Of these assigned interrupts, those that were taken are active no more: they may come again."""
    left = bits & bank.forwarded
    bank.forwarded &= ~left
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        gic.driver.make_inactive(u32(bank.physical[i]))


@unbounded("each step takes one bit of a word")
def forget(bank: Bank, bits: u32) -> None:
    """Of these assigned interrupts, what has come and the guest has not taken is forgotten."""
    left = bits
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        gic.driver.clear_pending(u32(bank.physical[i]))
    withdraw(bank, bits & ~bank.linked)


@unbounded("each step takes one bit of a word")
def shown_pending(bank: Bank) -> u32:
    """What a guest reads of a bank whose list registers are folded: whether a device asserts its level, or has raised
    another edge meanwhile, the physical distributor knows."""
    shown = bank.pending
    left = bank.assigned
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        bit = u32(1) << i
        intid = u32(bank.physical[i])
        if interrupts.lines[intid].trigger == Trigger.LEVEL:
            shown = shown & ~bit | bank.latched & bit
        if gic.driver.state(intid).pending:
            shown |= bit
    return shown
