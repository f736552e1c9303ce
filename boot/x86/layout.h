/* Addresses and bits that the assembly shares. hv/x86/layout.py has the same address space; hv.lds asserts what it can. */
#pragma once

#define PAGE_SHIFT 12
#define PAGE_SIZE (1 << PAGE_SHIFT)

/* PML4 slot 257. */
#define LINK_ADDRESS 0xFFFF808000000000
#define LINK_SLOT 257
/* Where the file asks to be loaded; Multiboot2 loaders may choose another 2 MiB boundary. */
#define LOAD_ADDRESS 0x200000

/* Four stacks for each CPU, the last the one that it runs on; each lies at the top of a part of its slot. */
#define STACKS 0xFFFF818000000000
#define STACK_SLOT_SHIFT 17
#define STACK_SLOT (1 << STACK_SLOT_SHIFT)
#define STACK_PART_SHIFT 15
/* Bytes at the top of the NMI stack where each NMI's frame arrives. */
#define NMI_LANDING 128

/* How the image was started: what `boot` in hv/x86/main.py is told. */
#define BY_MULTIBOOT2 1
#define BY_PVH 2

/* Segments of the first descriptor table, at the same places in each CPU's own one (hv/x86/descriptors.py). */
#define CODE64 0x08
#define DATA32 0x10
#define CODE32 0x18

/* Control registers (Intel SDM 3A, 2.5) and IA32_EFER. */
#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_ET (1 << 4)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR0_ON (CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)
#define CR4_PAE (1 << 5)
#define EFER 0xC0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

/* Entries of translation tables (Intel SDM 3A, 4.5), accessed and, where writable, dirty. */
#define TABLE 0x023
#define LEAF 0x121 /* global */
#define LEAF_WRITE 0x042
#define LEAF_LARGE 0x080
#define LEAF_NEVER_EXECUTE_HIGH 0x80000000 /* of the upper half */
