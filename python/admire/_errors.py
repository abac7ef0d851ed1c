"""What can go wrong, as exceptions and warnings."""


class AdmireError(Exception):
    """The program `admire` has failed.

    `message` is what the program said on stderr. `exit_code` is its exit code: 1 runtime error, 2 wrong usage or config,
    3 infeasible search space, 5 study locked by another process (docs/cli.md).
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, exit_code)
        self.message = message
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message} (exit code {self.exit_code})"


class AdmireWarning(UserWarning):
    """A warning that the program `admire` wrote on stderr."""


class NoTrialError(RuntimeError):
    """`admire.trial()` was called outside of a trial, without a default."""
