"""The one exception a user is meant to read."""


class UserError(Exception):
    """Something the user can mend: one sentence with the key, the value and the remedy. Shown without a traceback."""
