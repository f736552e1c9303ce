"""The one exception of the language. Numbers are Linux's and Xen's (xen/errno.h)."""

from __future__ import annotations

from typing import Any

from hv.lang.ints import i32

NUMBERS: dict[str, int] = {
    "EPERM": 1, "ENOENT": 2, "ESRCH": 3, "EINTR": 4, "EIO": 5, "ENXIO": 6, "E2BIG": 7, "ENOEXEC": 8, "EBADF": 9,
    "ECHILD": 10, "EAGAIN": 11, "ENOMEM": 12, "EACCES": 13, "EFAULT": 14, "ENOTBLK": 15, "EBUSY": 16, "EEXIST": 17,
    "EXDEV": 18, "ENODEV": 19, "ENOTDIR": 20, "EISDIR": 21, "EINVAL": 22, "ENFILE": 23, "EMFILE": 24, "ENOTTY": 25,
    "ETXTBSY": 26, "EFBIG": 27, "ENOSPC": 28, "ESPIPE": 29, "EROFS": 30, "EMLINK": 31, "EPIPE": 32, "EDOM": 33,
    "ERANGE": 34, "EDEADLK": 35, "ENAMETOOLONG": 36, "ENOLCK": 37, "ENOSYS": 38, "ENOTEMPTY": 39, "ENODATA": 61,
    "ETIME": 62, "EBADMSG": 74, "EOVERFLOW": 75, "EILSEQ": 84, "ERESTART": 85, "ENOTSOCK": 88, "EMSGSIZE": 90,
    "EOPNOTSUPP": 95, "EADDRINUSE": 98, "EADDRNOTAVAIL": 99, "ENOBUFS": 105, "EISCONN": 106, "ENOTCONN": 107,
    "ETIMEDOUT": 110, "ECONNREFUSED": 111,
}  # fmt: skip


class Errno(Exception):
    """`Errno.EINVAL` and its like are the only instances."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(name)
        self.name = name
        self.code: Any = i32(code)


def _members() -> dict[str, Errno]:
    return {name: Errno(name, code) for name, code in NUMBERS.items()}


for _name, _member in _members().items():
    setattr(Errno, _name, _member)
