# refuse: 7: only an Errno is raised: `raise Errno.EINVAL`
from hv.lang import raises, u32


@raises
def f(x: u32) -> None:
    raise x
