"""What a user is told: one sentence that says what was wrong, what was expected and what to do."""


class UserError(Exception):
    """Bad input. The CLI prints the message alone and exits with 2."""


class UnknownKey(UserError):
    """An override of a key that the config does not have."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class RunFailed(Exception):
    """A run that could not go on through no fault of its input. The CLI prints the message alone and exits with 1."""


class NotWritable(RunFailed):
    """A place where nothing may be written, or where something else stands; its `__cause__` is the OSError."""


class Unreachable(RunFailed):
    """What a run needs beside this machine, such as a phone, is not there."""


class RolloutLost(RunFailed):
    """What plays the episodes has gone as a whole; what was learnt until then is well."""
