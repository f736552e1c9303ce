"""What the compiler says when it refuses a program."""


class CompileError(Exception):
    """A refusal: where it is, the rule, and a way out."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message


class ImageError(RuntimeError):
    """A linked image that is not what it must be."""
