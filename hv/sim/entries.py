"""What an entry of any kind says: arm_entries.py and x86_entries.py, by its stage."""

from hv.common.mm.types import Mfn
from hv.lang import u8, u32, u64
from hv.sim import arm_entries, x86_entries
from hv.sim.stages import Rights, Stage, of_x86


def is_leaf(stage: Stage, entry: u64, height: u32) -> bool:
    """Of a present entry."""
    return x86_entries.is_leaf(entry, height) if of_x86(stage) else arm_entries.is_leaf(entry, height)


def target(stage: Stage, entry: u64, height: u32) -> Mfn:
    """The first frame of what a leaf maps, or the table that the entry names."""
    return x86_entries.target(entry, height) if of_x86(stage) else arm_entries.target(entry)


def well_formed(stage: Stage, entry: u64, height: u32) -> bool:
    return x86_entries.well_formed(entry, height) if of_x86(stage) else arm_entries.well_formed(stage, entry, height)


def rights(stage: Stage, entry: u64, height: u32) -> Rights:
    """What a present entry leaves of the rights that those above it gave."""
    return x86_entries.rights(entry) if of_x86(stage) else arm_entries.rights(stage, entry, height)


def memory(stage: Stage, entry: u64, height: u32) -> u8:
    """Of a leaf, as `Memory`; 255 for a type that the hypervisor does not use."""
    return x86_entries.memory(entry, height) if of_x86(stage) else arm_entries.memory(stage, entry)


def leads_alike(stage: Stage, before: u64, after: u64) -> bool:
    """Whether two entries for the same frames differ in nothing but what they allow."""
    free = x86_entries.PERMISSIONS if of_x86(stage) else arm_entries.PERMISSIONS
    return (before ^ after) & ~free == 0
