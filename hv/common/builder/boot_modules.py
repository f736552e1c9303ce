"""Modules that the boot loader put where it liked, by their numbers: what `mb-index` in a description counts."""

from hv.common.builder.module import Module
from hv.lang import Errno, Final, array, raises, u32

MAX_MODULES: Final[u32] = 64


class BootModules:
    table: array[Module, MAX_MODULES]
    count: u32

    @raises
    def add(self, module: Module) -> None:
        """In the loader's order. ENOSPC."""
        if self.count == MAX_MODULES:
            raise Errno.ENOSPC
        self.table[self.count] = module
        self.count += 1

    @raises
    def find(self, index: u32) -> Module:
        """ENOENT: there are not so many."""
        if index >= self.count:
            raise Errno.ENOENT
        return self.table[index]


boot_modules: Final = BootModules()
