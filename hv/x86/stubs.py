"""What assembly does that both architectures have under one name (boot/x86)."""

from hv.lang import extern, u64


@extern
def stop_cpu() -> None:
    """Masks interrupts and sleeps for good (boot/x86/vectors.S)."""
    ...


@extern
def zero_bytes(address: u64, length: u64) -> None:
    """Clears mapped normal memory (boot/x86/memory.S)."""
    ...


@extern
def copy_memory(to: u64, source: u64, length: u64) -> None:
    """boot/x86/memory.S; the ranges do not overlap."""
    ...
