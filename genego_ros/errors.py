"""The one error that users are meant to read."""


class GenEgoError(RuntimeError):
    """Something a user can put right. Its text says what is wrong and names the cure.

    Commands print the text without a traceback; nodes log it and go on with the next frame.
    """
