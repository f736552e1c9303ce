"""Coming back from a fault that a self-test makes on purpose: the stubs are in boot/arm64/recovery.S."""

from hv.lang import Callable, Never, PerCpu, array, assembly_layout, extern, u64


@assembly_layout
class Catcher(PerCpu):
    """What a function call keeps, as it was when a self-test was called that is to fault."""

    kept: array[u64, 10]  # x19 to x28
    stack: u64
    masks: u64  # DAIF


@extern
def code_address() -> u64:
    """The address that it returns to."""
    ...


@extern
def call_and_catch(catcher: Catcher, function: Callable[[], None]) -> u64:
    """1 when `come_back` ended the call."""
    ...


@extern
def come_back(catcher: Catcher) -> Never: ...
