"""Why packed data cannot be unpacked, in words: what was expected where something else was found."""

from hv.lang import Errno, Final, raises


class Fault:
    expected: str


fault: Final = Fault()


@raises
def expect(right: bool, what: str) -> None:
    """EINVAL: it is not right, and the fault tells what was expected."""
    if not right:
        fault.expected = what
        raise Errno.EINVAL
