"""A simulated CPU's floating-point registers, under the names of the stubs that move them (boot/arm64/fpsimd.S)."""

from hv.lang import Final, PerCpu, array, export, ptr, u64

WORDS: Final = 66  # FPCR, FPSR, V0 to V31


class FpRegisters(PerCpu):
    words: array[u64, WORDS]


@export
def save_fpsimd(address: u64) -> None:
    for i in range(WORDS):
        ptr[u64](address)[i] = FpRegisters.this().words[i]


@export
def load_fpsimd(address: u64) -> None:
    for i in range(WORDS):
        FpRegisters.this().words[i] = ptr[u64](address)[i]
