"""The words of the restricted Python, for programs that run interpreted by CPython."""
