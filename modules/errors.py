"""What a person can mend: bad images, a folder that isn't there, a setting that makes no sense."""


class BadInputError(ValueError):
    """The input or the configuration can't be worked with; the message says what was found and what is allowed."""


def said_by_op(message: str) -> str:
    """What a TensorFlow op said, out of the account of where in the graph it stands; the message if it said nothing."""
    before_node = message.split("\n\t [[")[0].strip().splitlines()
    return before_node[-1] if before_node else message


class BackboneError(BadInputError):
    """A backbone can't be built as asked: unknown name, unfit size, weights that can't be had or don't fit."""
