"""What an interpreted program raises where a compiled one traps."""


class Trap(Exception):
    """A rule of the language was broken at run time: a value did not fit, an index was out of bounds, an assertion failed."""
