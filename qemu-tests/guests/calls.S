/*
 * Calls to the hypervisor (Arm DEN 0028): u64 hvc(u64 function, u64 a, u64 b, u64 c), and the same by SMC. Arguments and
 * the first result are where a function has them, and what the callee may change is what a function may change.
 */
    .section .text.hvc, "ax"
    .global hvc
hvc:
    hvc     #0
    ret

    .section .text.smc, "ax"
    .global smc
smc:
    smc     #0
    ret

/* Xen's: u64 xen_call(u64 number, u64 a, u64 b). */
    .section .text.xen_call, "ax"
    .global xen_call
xen_call:
    mov     x16, x0
    mov     x0, x1
    mov     x1, x2
    hvc     #0xea1
    ret

/* As hvc, without the call: what a loop around it costs by itself. */
    .section .text.no_call, "ax"
    .global no_call
no_call:
    ret

/* The same for xen_call. */
    .section .text.no_xen_call, "ax"
    .global no_xen_call
no_xen_call:
    mov     x16, x0
    mov     x0, x1
    mov     x1, x2
    ret
