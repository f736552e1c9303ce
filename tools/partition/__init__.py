"""Partition files: a TOML description of domains becomes a device tree with dom0less bindings and a load list.

    partition = load(Path("machine.toml"))
    compiled = partition.compile(base_dtb, resolve=lambda name: directory / name)

The manual of the format is docs/partitions.md; the same from a shell is `python -m tools.partition`.
"""

from tools.partition.description import load
from tools.partition.mistakes import PartitionError
from tools.partition.model import Compiled, Domain, Load, Modules
from tools.partition.partition import Partition
from tools.partition.tree import read_domains

__all__ = ["Compiled", "Domain", "Load", "Modules", "Partition", "PartitionError", "load", "read_domains"]
