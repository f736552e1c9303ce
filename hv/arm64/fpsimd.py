"""A guest's floating-point and SIMD registers.

The hypervisor's own code uses none (the build proves it), so they stay in the hardware from exit to entry and change
hands when another vCPU is loaded, always as a whole: no guest sees another's. SVE and SME, which would make them
wider, trap.
"""

from hv.lang import address_of, aligned, array, assembly_layout, extern, u64


@assembly_layout
@aligned(16)
class FpSimd:
    control: u64  # FPCR
    status: u64  # FPSR
    v: array[u64, 64]  # V0 to V31, each as two words

    def reset(self) -> None:
        for i in range(64):
            self.v[i] = 0
        self.control = 0
        self.status = 0

    def save(self) -> None:
        save_fpsimd(address_of(self))

    def load(self) -> None:
        load_fpsimd(address_of(self))


@extern
def save_fpsimd(address: u64) -> None:
    """boot/arm64/fpsimd.S"""
    ...


@extern
def load_fpsimd(address: u64) -> None: ...
