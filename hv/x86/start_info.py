"""How PVH start information is laid out, with the lists that it names. All of it is little-endian.

Source: public/arch-x86/hvm/start_info.h.
"""

from hv.lang import Final, u32, u64

MAGIC: Final[u32] = 0x336E_C578

# struct hvm_start_info
AT_MAGIC: Final[u64] = 0
AT_VERSION: Final[u64] = 4
AT_MODULES: Final[u64] = 12
AT_MODULE_LIST: Final[u64] = 16
AT_COMMAND_LINE: Final[u64] = 24
AT_RSDP: Final[u64] = 32
AT_MAP: Final[u64] = 40
AT_MAP_ENTRIES: Final[u64] = 48
VERSION_0_BYTES: Final[u64] = 40
VERSION_1_BYTES: Final[u64] = 56

# struct hvm_modlist_entry
AT_MODULE_START: Final[u64] = 0
AT_MODULE_BYTES: Final[u64] = 8
AT_MODULE_COMMAND_LINE: Final[u64] = 16
MODULE_BYTES: Final[u64] = 32

# struct hvm_memmap_table_entry
AT_ENTRY_START: Final[u64] = 0
AT_ENTRY_BYTES: Final[u64] = 8
AT_ENTRY_TYPE: Final[u64] = 16
ENTRY_BYTES: Final[u64] = 24

RAM: Final[u32] = 1  # a type of memory
