# refuse: 13: `teardown_step` says whether nothing is left
from hv.lang import Extension, extensible, step_extensions, u32


@extensible
class Domain:
    id: u32


class Events(Extension[Domain]):
    ports: u32

    def teardown_step(self, owner: Domain) -> None:
        pass


def f(domain: Domain) -> bool:
    return step_extensions(domain)
