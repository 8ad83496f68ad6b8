"""What a person can mend: bad images, a folder that isn't there, a setting that makes no sense."""


class BadInputError(ValueError):
    """The input or the configuration can't be worked with; the message says what was found and what is allowed."""


class BackboneError(BadInputError):
    """A backbone can't be built as asked: unknown name, unfit size, weights that can't be had or don't fit."""
