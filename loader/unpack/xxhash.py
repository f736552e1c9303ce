"""XXH64, with seed 0.

Source: xxHash project, doc/xxhash_spec.md.
"""

from hv.common.lib.span import Bytes
from hv.lang import Final, ptr, u8, u32, u64, unbounded

PRIME1: Final[u64] = 0x9E37_79B1_85EB_CA87
PRIME2: Final[u64] = 0xC2B2_AE3D_27D4_EB4F
PRIME3: Final[u64] = 0x1656_67B1_9E37_79F9
PRIME4: Final[u64] = 0x85EB_CA77_C2B2_AE63
PRIME5: Final[u64] = 0x27D4_EB2F_1656_67C5
STRIPE: Final[u64] = 32


@unbounded("ends with the data")
def xxh64(data: Bytes) -> u64:
    at = data.address
    left = data.length
    hash = PRIME5
    if left >= STRIPE:
        a = PRIME1 + PRIME2
        b = PRIME2
        c: u64 = 0
        d = ~PRIME1 + 1
        while left >= STRIPE:
            words = ptr[u64](at)
            a = mixed(a, words[0])
            b = mixed(b, words[1])
            c = mixed(c, words[2])
            d = mixed(d, words[3])
            at += STRIPE
            left -= STRIPE
        hash = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)
        hash = merged(merged(merged(merged(hash, a), b), c), d)
    hash += data.length
    while left >= 8:
        hash = rotated(hash ^ mixed(0, ptr[u64](at)[0]), 27) * PRIME1 + PRIME4
        at += 8
        left -= 8
    if left >= 4:
        hash = rotated(hash ^ u64(ptr[u32](at)[0]) * PRIME1, 23) * PRIME2 + PRIME3
        at += 4
        left -= 4
    while left != 0:
        hash = rotated(hash ^ u64(ptr[u8](at)[0]) * PRIME5, 11) * PRIME1
        at += 1
        left -= 1
    hash = (hash ^ hash >> 33) * PRIME2
    hash = (hash ^ hash >> 29) * PRIME3
    return hash ^ hash >> 32


def mixed(lane: u64, word: u64) -> u64:
    return rotated(lane + word * PRIME2, 31) * PRIME1


def merged(hash: u64, lane: u64) -> u64:
    return (hash ^ mixed(0, lane)) * PRIME1 + PRIME4


def rotated(x: u64, bits: u32) -> u64:
    return x << bits | x >> (64 - bits)
