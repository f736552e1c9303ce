"""Random numbers that repeat with their seed (Marsaglia, Xorshift RNGs, 2003: shifts 12, 25, 27, and a
multiplication).
"""

from hv.lang import Final, u64

MULTIPLIER: Final[u64] = 0x2545_F491_4F6C_DD1D
START: Final[u64] = 0x9E37_79B9_7F4A_7C15


class Random:
    state: u64

    def init(self, seed: u64) -> None:
        self.state = START ^ seed * MULTIPLIER
        if self.state == 0:
            self.state = START

    def word(self) -> u64:
        x = self.state
        x ^= x >> 12
        x ^= x << 25
        x ^= x >> 27
        self.state = x
        return x * MULTIPLIER

    def below(self, limit: u64) -> u64:
        return (self.word() >> 16) % limit

    def chance(self, one_in: u64) -> bool:
        return self.below(one_in) == 0
