# refuse: 6: cannot be stored
from hv.lang import Message


class Log:
    last: Message
