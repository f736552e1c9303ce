# refuse: 10: an object of an @extensible class
from hv.lang import init_extensions, u32


class Domain:
    id: u32


def f(domain: Domain) -> None:
    init_extensions(domain)
