"""`./dev bench`: the same guest binaries on this hypervisor and on Debian's Xen, counted in executed instructions.

docs/benchmarks.md says what each figure means.
"""

from devtools.bench.command import main

__all__ = ["main"]
