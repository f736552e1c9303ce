/* A TCG plugin of QEMU that counts executed instructions and writes the count to QEMU's log (-d plugin):
 *   "u COUNT"  when a byte was stored to the data register of the UART
 *   "g COUNT"  before the instruction `opcode` at virtual address `entry` executes
 *   "w COUNT"  before an instruction that waits for an interrupt executes: WFI (Arm ARM, C6.2.353) or HLT
 *   "o COUNT"  before OUT writes a byte to a port (Intel SDM 2B), which is how x86 reaches its UART
 *   "s COUNT", "g COUNT"  before code executes that begins with given bytes, wherever it lies
 * Arguments, in this order: uart=PHYSICAL,entry=VIRTUAL,opcode=WORD,start=HEX,guest=HEX. The first three are decimal and
 * 0 for what is not watched; the other two are 16 bytes of code, nothing for none. Code
 * that jumps away before it has 16 bytes is compared so far.
 *
 * The counts are exact on one CPU: an instruction counts when it executes, and the store to the UART counts itself.
 * A load or store that QEMU has to translate anew because it reaches a device counts once.
 * Debian does not package the header of this interface, so what is used of it is declared here
 * (version 1, QEMU 6.0 to 8.2: docs/devel/tcg-plugins.rst). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
enum { ADD_U64 = 0, NO_REGISTERS = 0, STORES = 2 };

typedef struct qemu_plugin_tb Block;
typedef struct qemu_plugin_insn Insn;
typedef struct qemu_plugin_hwaddr Hwaddr;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*translated)(uint64_t id, Block *));
size_t qemu_plugin_insn_size(const Insn *);
size_t qemu_plugin_tb_n_insns(const Block *);
Insn *qemu_plugin_tb_get_insn(const Block *, size_t index);
const void *qemu_plugin_insn_data(const Insn *);
uint64_t qemu_plugin_insn_vaddr(const Insn *);
void qemu_plugin_register_vcpu_insn_exec_inline(Insn *, int operation, void *counter, uint64_t immediate);
void qemu_plugin_register_vcpu_insn_exec_cb(Insn *, void (*executed)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_mem_cb(Insn *, void (*accessed)(unsigned, uint32_t, uint64_t, void *), int, int, void *);
Hwaddr *qemu_plugin_get_hwaddr(uint32_t access, uint64_t virtual_address);
bool qemu_plugin_hwaddr_is_io(const Hwaddr *);
uint64_t qemu_plugin_hwaddr_phys_addr(const Hwaddr *);
void qemu_plugin_outs(const char *line);

EXPORT int qemu_plugin_version = 1;
enum { SIGNATURE = 16 };
static uint64_t count, uart, entry, opcode;
static uint8_t start[SIGNATURE], guest[SIGNATURE];
static bool has_start, has_guest;

static void stamp(char event) {
    char line[24], *start = line + sizeof line;
    *--start = '\0';
    *--start = '\n';
    uint64_t rest = count;
    do *--start = (char)('0' + rest % 10); while (rest /= 10);
    *--start = ' ';
    *--start = event;
    qemu_plugin_outs(start);
}

static void entered(unsigned cpu, void *unused) { stamp('g'); }
static void started(unsigned cpu, void *unused) { stamp('s'); }
static void waits(unsigned cpu, void *unused) { stamp('w'); }
static void writes_port(unsigned cpu, void *unused) { stamp('o'); }

static void stored(unsigned cpu, uint32_t access, uint64_t virtual_address, void *unused) {
    const Hwaddr *place = qemu_plugin_get_hwaddr(access, virtual_address);
    if (place && qemu_plugin_hwaddr_is_io(place) && qemu_plugin_hwaddr_phys_addr(place) == uart) stamp('u');
}

/* An instruction of arm64 has four bytes, so one and two bytes are x86. */
static bool is_wait(const uint8_t *bytes, size_t size) {
    return size == 4 ? *(const uint32_t *)bytes == 0xd503207f : size == 1 && bytes[0] == 0xf4;
}

static bool is_port_write(const uint8_t *bytes, size_t size) {
    return (size == 1 && bytes[0] == 0xee) || (size == 2 && bytes[0] == 0xe6);
}

/* Whether a block of code begins as the signature does, which is compared as far as both go. A byte or two begin many
 * blocks, so they do not do. */
static bool begins_with(const Block *block, const uint8_t *signature) {
    size_t at = 0;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        const Insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        for (size_t j = 0; j < qemu_plugin_insn_size(insn); j++, at++) {
            if (at == SIGNATURE) return true;
            if (bytes[j] != signature[at]) return false;
        }
    }
    return at >= 4;
}

static void translated(uint64_t id, Block *block) {
    Insn *first = qemu_plugin_tb_get_insn(block, 0);
    if (has_start && begins_with(block, start))
        qemu_plugin_register_vcpu_insn_exec_cb(first, started, NO_REGISTERS, NULL);
    if (has_guest && begins_with(block, guest))
        qemu_plugin_register_vcpu_insn_exec_cb(first, entered, NO_REGISTERS, NULL);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        Insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        size_t size = qemu_plugin_insn_size(insn);
        if (qemu_plugin_insn_vaddr(insn) == entry && size == 4 && *(const uint32_t *)bytes == opcode)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, entered, NO_REGISTERS, NULL);
        if (is_wait(bytes, size)) qemu_plugin_register_vcpu_insn_exec_cb(insn, waits, NO_REGISTERS, NULL);
        if (is_port_write(bytes, size)) qemu_plugin_register_vcpu_insn_exec_cb(insn, writes_port, NO_REGISTERS, NULL);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &count, 1);
        if (uart) qemu_plugin_register_vcpu_mem_cb(insn, stored, NO_REGISTERS, STORES, NULL);
    }
}

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* Reads 16 bytes of hexadecimal digits; false: there are none. */
static bool signature(const char *argument, uint8_t *bytes) {
    while (*argument++ != '=');
    for (size_t i = 0; i < SIGNATURE; i++, argument += 2) {
        if (!argument[0] || !argument[1]) return false;
        bytes[i] = (uint8_t)(digit(argument[0]) << 4 | digit(argument[1]));
    }
    return true;
}

static uint64_t value(const char *argument) {
    uint64_t number = 0;
    while (*argument++ != '=');
    for (; *argument; argument++) number = number * 10 + (uint64_t)(*argument - '0');
    return number;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    if (argc != 5) return -1;
    uart = value(argv[0]);
    entry = value(argv[1]);
    opcode = value(argv[2]);
    has_start = signature(argv[3], start);
    has_guest = signature(argv[4], guest);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
