/*
 * The x87, SSE and further extended state of a guest, which the hypervisor itself never touches (Intel SDM 1, chapter 13).
 * The area is aligned to 64 bytes; a mask names the components, of which XCR0 enables all.
 */
    .section .text.fpu, "ax"

/* void save_extended(u64 area, u64 mask). */
    .global save_extended
save_extended:
    movl    %esi, %eax
    movq    %rsi, %rdx
    shrq    $32, %rdx
    xsave64 (%rdi)
    ret

/* void load_extended(u64 area, u64 mask). */
    .global load_extended
load_extended:
    movl    %esi, %eax
    movq    %rsi, %rdx
    shrq    $32, %rdx
    xrstor64 (%rdi)
    ret

/* void save_legacy(u64 area): 512 bytes of it, on a CPU without XSAVE. */
    .global save_legacy
save_legacy:
    fxsave64 (%rdi)
    ret

/* void load_legacy(u64 area). */
    .global load_legacy
load_legacy:
    fxrstor64 (%rdi)
    ret
