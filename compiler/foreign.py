"""Declarations of a compiled program for cffi, which takes no attributes: packed structures are declared apart."""

from typing import Any

ATTRIBUTE = " __attribute__((packed"


def declare(ffi: Any, declarations: str) -> None:
    """Declares the lines in order. A structure that is packed says so at the end of its line."""
    plain: list[str] = []
    for line in declarations.split("\n"):
        if ATTRIBUTE not in line:
            plain.append(line)
            continue
        ffi.cdef("\n".join(plain))
        ffi.cdef(line[: line.index(ATTRIBUTE)] + ";", packed=True)
        plain = []
    ffi.cdef("\n".join(plain))
