/* Sizes that the assembly of x86 unikernels shares. */
#pragma once

#define LOAD_ADDRESS 0x100000
#define STACK_SIZE 0x8000
#define PAGE_SIZE 4096
#define USER_CODE 0x3B                        // segments, lib/exceptions.py
#define USER_DATA 0x43
