# refuse: 9: is not @extensible
from hv.lang import Extension, u32


class Domain:
    id: u32


class Vgic(Extension[Domain]):
    lines: u32


def f(domain: Domain) -> u32:
    return Vgic.of(domain).lines
