"""What can go wrong with the embedded stack, said so that a person can act on it."""


class StackError(Exception):
    """The embedded stack can't start or go on; the message says what to do."""


class PortTakenError(StackError):
    """A port that the stack needs is in use."""


class DataDirInUseError(StackError):
    """Another launcher works on the same data directory."""


class MissingProgramError(StackError):
    """A program or a library that it needs is missing."""
