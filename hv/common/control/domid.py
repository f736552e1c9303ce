"""Which domain a hypercall is about (public/xen.h: domid_t)."""

from hv.common.mm.types import DomId
from hv.common.model.domain import Domain, Privilege, domains
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, guard, raises

DOMID_SELF: Final = DomId(0x7FF0)


@raises
def must_be_own(caller: Vcpu, named: DomId) -> None:
    """For what concerns the caller's domain alone. EPERM: another is named."""
    if named not in (DOMID_SELF, caller.domain.id):
        raise Errno.EPERM


@raises
def must_manage(caller: Vcpu, domain: Domain) -> None:
    """EPERM: it is another domain's, and the caller has no control over others."""
    if domain is not caller.domain and Privilege.CONTROL not in caller.domain.config.privileges:
        raise Errno.EPERM


@guard
class Named:
    """A domain with a reference on it."""

    domain: Domain

    def __enter__(self) -> Domain:
        return self.domain

    def __exit__(self, *_: object) -> None:
        self.domain.put()


@raises
def named(caller: Vcpu, id: DomId) -> Named:
    """ESRCH: there is no such domain."""
    found = domains.get(numbered(caller, id))
    if found is None:
        raise Errno.ESRCH
    return Named(found)


def numbered(caller: Vcpu, id: DomId) -> DomId:
    return caller.domain.id if id == DOMID_SELF else id
