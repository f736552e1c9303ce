"""What the host library holds: importing a module here brings it and all that it uses into the library for the tests."""

from hv.common.mm import early, guest_copy, heap, ownership, p2m, pagetable, pool, walkers
from hv.sim import arch, machine, walker
