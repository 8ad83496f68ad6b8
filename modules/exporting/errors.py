"""What goes wrong with exports."""

from __future__ import annotations

from config.errors import BadInputError


class ExportError(BadInputError):
    """A model cannot be written in a format."""
