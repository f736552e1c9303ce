"""How a domain ends by its own doing, for who asks on its behalf from below the builder, which takes it apart."""

from hv.common.model.domain import Domain, ShutdownReason
from hv.lang import Callable, Final, Registry, value


@value
class Ending:
    """What is done about it, once for each domain's end."""

    end: Callable[[Domain, ShutdownReason], None]


endings: Final = Registry[Ending]()


def shut_down(domain: Domain, reason: ShutdownReason) -> None:
    for ending in endings:
        ending.end(domain, reason)
