"""What is wrong with a domain's description, in words: told where it is found, printed where the domain is given up."""

from hv.common.lib.text import TextBuffer
from hv.lang import Message


class Mistake:
    """Used by one CPU at a time: the one that builds. The error that is raised behind it says no more."""

    words: TextBuffer[240]

    @property
    def text(self) -> str:
        return self.words.text

    def tell(self, message: Message) -> None:
        self.words.clear()
        self.words.write(message)

    def wrong(self, where: str, name: str, message: Message) -> None:
        """About a property of the domain's node, or of its child `where`."""
        if where == "":
            self.tell(f'property "{name}" ')
        else:
            self.tell(f'property "{name}" of {where} ')
        self.words.write(message)
