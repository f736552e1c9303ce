"""`./dev partition`: what tools/partition does, from anywhere (docs/partitions.md)."""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    from tools.partition.__main__ import main as partition

    return partition(list(arguments), "./dev partition")
