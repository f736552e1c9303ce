"""In which form a domain reads its events: bits in two levels, as it begins, or queues by priority.

A form is called with the channel's lock held, or by who makes or ends the channel, unless it says otherwise.
"""

from hv.common.comm.channel import Channel, Port
from hv.common.model.domain import Domain
from hv.lang import Extension, Protocol, u32


class EventForm(Protocol):
    def capacity(self, domain: Domain) -> u32:
        """Ports below this can be told of."""
        ...

    def set_pending(self, domain: Domain, port: Port, channel: Channel) -> None:
        """The vCPU that the channel names is told, unless the guest has masked the port or knows already."""
        ...

    def clear_pending(self, domain: Domain, port: Port, channel: Channel) -> None:
        """Of a port that is closed."""
        ...

    def unmask(self, domain: Domain, port: Port, channel: Channel) -> None:
        """The vCPU is told of what came while the port was masked. No lock is held."""
        ...

    def is_pending(self, domain: Domain, port: Port) -> bool:
        """From any CPU, without a lock."""
        ...


class Form(Extension[Domain]):
    form: EventForm


def form_of(domain: Domain) -> EventForm:
    return Form.of(domain).form
