/* Numbers that the assembly and guest.lds share. */
#define TEXT_OFFSET 0x80000 /* an emulator's own loader puts its stub at the start of memory */
#define CPUS 4
#define STACK_SHIFT 14
#define STACK_SIZE (1 << STACK_SHIFT)
