/* Calls that a compiler cannot be told about precisely enough in one line. */

    .text

/*
 * u64 smc_call(u64 function, u64 a, u64 b, u64 c): to the firmware (Arm DEN 0028). Arguments and the first result are in
 * the registers of a function call, and what the firmware may change is what a function call may change.
 */
    .global smc_call
smc_call:
    smc     #0
    ret
