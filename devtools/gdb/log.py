"""The hypervisor's log, out of its ring (hv/common/kernel/log_ring.py)."""

INDICES = 1 << 32


def kept(ring: bytes, oldest: int, end: int, since: int | None = None) -> tuple[int, bytes]:
    """The index of the first byte, and the bytes from there to before `end`; from `since` on when it is one of those
    that are kept, or the end."""
    length = (end - oldest) % INDICES
    if length > len(ring):
        raise ValueError(f"the log's indices are damaged: it has room for {len(ring)} bytes, not for {oldest} to {end}")
    skipped = 0 if since is None else (since - oldest) % INDICES
    if skipped > length:
        skipped = 0
    first = (oldest + skipped) % INDICES
    at = first % len(ring)
    return first, (ring + ring)[at : at + length - skipped]
