"""The one exception that bad input raises: a clear line naming the thing and the remedy."""


class UserError(ValueError):
    """Something the user can mend: one line, which the command line prints before it exits 2."""
