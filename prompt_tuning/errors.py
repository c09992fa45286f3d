"""The one exception that bad input raises: a clear line naming the thing and the remedy."""


class UserError(ValueError):
    """Something the user can mend. The message is one line; the command line prints it and exits 2."""
