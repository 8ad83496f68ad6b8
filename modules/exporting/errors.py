"""What goes wrong with exports."""

from __future__ import annotations

import re

from config.errors import BadInputError, one_line

_OPERATION = re.compile(r"'tf\.(\w+)' op is neither|(?:TF Select|Custom) ops: ([\w, ]+)|No Op registered for (\w+)")


def reason(error: Exception) -> str:
    """What a converter's error says, in one line; it begins with the operations that the format lacks."""
    found = {next(filter(None, match.groups())).strip() for match in _OPERATION.finditer(str(error))}
    return f"it lacks {', '.join(sorted(found))}" if found else one_line(error)


class ExportError(BadInputError):
    """A model cannot be written in a format."""
