"""What must not happen to translation tables, as the models of walkers and TLBs find it; tests look after each
operation."""

from hv.lang import Final, U8Enum, u64


class Violation(U8Enum):
    NONE = 0
    NO_BREAK = 1  # an entry changed what it leads to without being absent, and forgotten, in between
    STALE = 2  # an entry appeared while the walker may remember another for the same frames
    REUSED = 3  # a table was written to that the walker may still reach
    LINKED_EARLY = 4  # an entry appeared before what it leads to was published
    FULL = 5  # the model's tables are too small for the test
    BAD_ENTRY = 6  # an entry that the architecture does not know
    STALE_USED = 7  # a CPU used a translation that the tables have no more


class Violations:
    """Only the first is kept."""

    first: Violation
    at: u64  # the frame number or address that it is about

    def found(self, what: Violation, at: u64) -> None:
        if self.first == Violation.NONE:
            self.first = what
            self.at = at

    def forget(self) -> None:
        self.first = Violation.NONE


violations: Final = Violations()
