"""Loads and stores of device registers, barriers, and waiting."""

from hv.lang import asm, u8, u16, u32, u64


@asm("ldr {result:w}, [{address}]")
def read32(address: u64) -> u32: ...


@asm("str {value:w}, [{address}]")
def write32(address: u64, value: u32) -> None: ...


@asm("ldrb {result:w}, [{address}]")
def read8(address: u64) -> u8: ...


@asm("strb {value:w}, [{address}]")
def write8(address: u64, value: u8) -> None: ...


@asm("ldrh {result:w}, [{address}]")
def read16(address: u64) -> u16: ...


@asm("strh {value:w}, [{address}]")
def write16(address: u64, value: u16) -> None: ...


@asm("ldr {result}, [{address}]")
def read64(address: u64) -> u64: ...


@asm("str {value}, [{address}]")
def write64(address: u64, value: u64) -> None: ...


@asm("isb")
def instruction_barrier() -> None: ...


@asm("dsb sy")
def complete_all() -> None: ...


@asm("nop")
def nothing() -> None: ...


@asm("wfi")
def wait_for_interrupt() -> None: ...


@asm("wfe")
def wait_for_event() -> None: ...


@asm("msr daifset, #2")
def interrupts_off() -> None: ...


@asm("msr daifclr, #2\n\tisb")
def interrupts_on() -> None: ...
