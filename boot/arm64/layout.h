/* Addresses and bits that the assembly shares. hv/arm64/mmu.py has the same address space; hv.lds asserts what it can. */
#pragma once

#define PAGE_SHIFT 12
#define PAGE_SIZE (1 << PAGE_SHIFT)

/* One slot per CPU: an unmapped half, and above it the stack, which grows down into the unmapped half. */
#define STACKS 0xC000000000
#define STACKS_SHIFT 30 /* all slots lie in this 1 GiB region */
#define STACK_SLOT_SHIFT 15
#define STACK_SLOT (1 << STACK_SLOT_SHIFT)
#define STACK_SIZE (STACK_SLOT / 2)

/* SCTLR_EL2: the bits that are one, I, SA, C, M, and WXN: what is writable is never executable. */
#define SCTLR_OFF 0x30C50830
#define SCTLR_ON (SCTLR_OFF | 1 << 19 | 1 << 12 | 1 << 3 | 1 << 2 | 1)

/* MAIR_EL2 by index: 0 normal write-back, 1 device nGnRE, 2 normal uncached, 3 device nGnRnE. */
#define MAIR 0x004404FF

/* TCR_EL2: 48-bit addresses, 4 KiB pages, walks write-back inner shareable; the physical size comes from ID_AA64MMFR0. */
#define TCR 0x80803510

/* Leaves of level 3 in normal memory: inner shareable, accessed. */
#define LEAF 0x743
#define LEAF_READ_ONLY (1 << 7)
#define LEAF_NEVER_EXECUTE (1 << 54)
#define TABLE 3

/* HCR_EL2: EL1 is AArch64; interrupts and SErrors come to EL2. Guests get more when one is loaded. */
#define HCR_HOST (1 << 31 | 1 << 5 | 1 << 4 | 1 << 3)

/* CPTR_EL2 without VHE: the bits that are one (they trap SVE and SME); FP and SIMD do not trap. */
#define CPTR_HOST 0x33FF
