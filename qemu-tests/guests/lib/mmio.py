"""Device registers: loads and stores of one register without writeback, whose syndrome a hypervisor can decode."""

from hv.lang import asm, u8, u16, u32, u64


@asm("ldrb {result:w}, [{address}]")
def read8(address: u64) -> u8: ...


@asm("ldrh {result:w}, [{address}]")
def read16(address: u64) -> u16: ...


@asm("ldr {result:w}, [{address}]")
def read32(address: u64) -> u32: ...


@asm("ldr {result}, [{address}]")
def read64(address: u64) -> u64: ...


@asm("strb {value:w}, [{address}]")
def write8(address: u64, value: u8) -> None: ...


@asm("strh {value:w}, [{address}]")
def write16(address: u64, value: u16) -> None: ...


@asm("str {value:w}, [{address}]")
def write32(address: u64, value: u32) -> None: ...


@asm("str {value}, [{address}]")
def write64(address: u64, value: u64) -> None: ...
