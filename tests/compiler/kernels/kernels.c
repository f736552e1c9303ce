/* The functions of kernels.py as a careful person writes them in C. They exist for the comparison alone. */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

enum { SIZE = 4096, NODES = 64, SLOTS = 256, TABLES = 8 };

struct node {
    struct node *next;
    u64 deadline;
};

struct slot {
    u64 key;
    u64 number;
};

static struct { u8 data[SIZE]; u32 head; } ring;
u8 source[SIZE];
static struct node nodes[NODES];
static struct node *first;
static struct slot slots[SLOTS];
static u64 tables[TABLES][512];
static u32 crc_table[256];

static void check(int holds)
{
    if (!holds)
        __builtin_trap();
}

u64 c_ring_copy(u32 n)
{
    u32 head = ring.head;

    check(n <= SIZE);
    for (u32 i = 0; i < n; i++)
        ring.data[(head + i) % SIZE] = source[i];
    ring.head = head + n;
    return ring.head;
}

static void insert(struct node *node)
{
    struct node *before, *after;

    if (!first || node->deadline < first->deadline) {
        node->next = first;
        first = node;
        return;
    }
    before = first;
    for (;;) {
        after = before->next;
        if (!after || node->deadline < after->deadline)
            break;
        before = after;
    }
    node->next = before->next;
    before->next = node;
}

u64 c_ordered_insert(u64 seed)
{
    u64 x = seed;

    for (u32 i = 0; i < NODES; i++) {
        x = x * 6364136223846793005UL + 1442695040888963407UL;
        nodes[i].deadline = x >> 33;
        insert(&nodes[i]);
    }
    return first ? first->deadline : 0;
}

static u32 hashed(u64 key)
{
    return (u32)((key * 0x9E3779B97F4A7C15UL) >> 56);
}

static int put(u64 key, u64 number)
{
    u32 at = hashed(key);

    for (u32 i = 0; i < SLOTS; i++) {
        struct slot *slot = &slots[(at + i) % SLOTS];

        if (slot->key == 0) {
            slot->key = key;
            slot->number = number;
            return 1;
        }
    }
    return 0;
}

static u64 find(u64 key)
{
    u32 at = hashed(key);

    for (u32 i = 0; i < SLOTS; i++) {
        const struct slot *slot = &slots[(at + i) % SLOTS];

        if (slot->key == key)
            return slot->number;
        if (slot->key == 0)
            break;
    }
    return 0;
}

u64 c_hash_look_up(u32 n)
{
    u64 sum = 0;

    check(n <= SLOTS);
    for (u32 i = 0; i < n; i++)
        put((u64)i * 7 + 1, (u64)i * 3);
    check(n * 2 <= SLOTS * 2);
    for (u32 i = 0; i < n * 2; i++)
        sum += find((u64)i * 7 + 1);
    return sum;
}

enum { PRESENT = 1, BLOCK = 2 };

static u64 frame_of(u64 entry)
{
    return (entry >> 12) & 0xFFFFFFFFFUL;
}

static u64 translated(u64 address)
{
    u64 table = 0;

    for (int height = 3; height >= 0; height--) {
        u32 shift = 12 + 9 * (u32)height;
        u64 entry = tables[table][(address >> shift) % 512];

        if (!(entry & PRESENT))
            return 0;
        if ((entry & BLOCK) || height == 0)
            return (frame_of(entry) << 12) + (address & ((1UL << shift) - 1));
        table = frame_of(entry);
    }
    return 0;
}

u64 c_page_table_walk(u32 n)
{
    u64 sum = 0;

    tables[0][0] = PRESENT | 1UL << 12;
    tables[1][1] = PRESENT | 2UL << 12;
    tables[2][3] = PRESENT | 3UL << 12;
    tables[2][4] = PRESENT | BLOCK | 0x500UL << 12;
    for (u32 i = 0; i < 512; i++)
        tables[3][i] = (i % 3 != 0) | ((u64)i + 77) << 12;
    check(n <= 1024);
    for (u32 i = 0; i < n; i++)
        sum += translated(0x40600000UL + (u64)i * 4096 + 5);
    return sum;
}

u64 c_crc(u32 n)
{
    u32 sum = 0xFFFFFFFF;

    for (u32 i = 0; i < 256; i++) {
        u32 remainder = i;

        for (int bit = 0; bit < 8; bit++)
            remainder = (remainder >> 1) ^ (remainder & 1 ? 0xEDB88320 : 0);
        crc_table[i] = remainder;
    }
    check(n <= SIZE);
    for (u32 i = 0; i < n; i++)
        sum = crc_table[(sum ^ source[i]) & 0xFF] ^ (sum >> 8);
    return sum ^ 0xFFFFFFFF;
}

u64 __stack_chk_guard = 0x5bd1e995;

void __stack_chk_fail(void)
{
    __builtin_trap();
}
