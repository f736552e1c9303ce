/*
 * Where the loader lies: in the memory below 1 MiB, where no kernel wants to be, and below what a PC has at 640 KiB.
 */
#pragma once

#define LOAD_ADDRESS 0x10000
#define LOAD_END 0xA0000
#define STACK_SIZE 0x8000
#define PAGE_SIZE 4096
