"""A local APIC's state in the form of Xen's save records, LAPIC and LAPIC_REGS (public/arch-x86/hvm/save.h).

`disabled` says what holds the APIC back: HARDWARE while IA32_APIC_BASE has it off, SOFTWARE while the spurious vector
register has. `timer_divisor` is what the divide configuration register means, a power of two up to 128. `tdt_msr` is
IA32_TSC_DEADLINE: 0 while no deadline is set.

Registers lie as a load from the APIC's page finds them: each in the first four of 16 bytes, at 16 times its number.
"""

from hv.lang import Final, abi, array, leading_zeros, u32, u64

REGISTERS: Final[u32] = 64
STRIDE: Final = 4  # words
BANK_WORDS: Final = 8  # registers of 32 bits, for 256 vectors
NO_VECTOR: Final[u32] = 0  # none is set

HARDWARE: Final[u32] = 1
SOFTWARE: Final[u32] = 2


@abi("xen/hvm/save.h", "struct hvm_hw_lapic")
class HwLapic:
    apic_base_msr: u64
    disabled: u32
    timer_divisor: u32
    tdt_msr: u64


@abi("xen/hvm/save.h", "struct hvm_hw_lapic_regs")
class HwLapicRegs:
    data: array[u32, 256]

    def __getitem__(self, register: u32) -> u32:
        return self.data[register * STRIDE]

    def __setitem__(self, register: u32, value: u32) -> None:
        self.data[register * STRIDE] = value

    # A bank is a register of 256 bits: eight registers, from `first` on

    def set(self, first: u32, vector: u32) -> None:
        self.data[(first + vector // 32) * STRIDE] |= u32(1) << vector % 32

    def remove(self, first: u32, vector: u32) -> None:
        self.data[(first + vector // 32) * STRIDE] &= ~(u32(1) << vector % 32)

    def highest(self, first: u32) -> u32:
        """NO_VECTOR: none is set."""
        for i in range(BANK_WORDS):
            at = u32(BANK_WORDS - 1 - i)
            word = self.data[(first + at) * STRIDE]
            if word != 0:
                return at * 32 + 31 - leading_zeros(word)
        return NO_VECTOR
