"""What an interpreted program raises where a compiled one traps, or would not have been compiled."""


class Trap(Exception):
    """A rule of the language was broken at run time: a value did not fit, an index was out of bounds, and so on."""


class Mismatch(TypeError):
    """Types met that the compiler does not let meet."""
