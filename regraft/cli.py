"""The entry point of the command `regraft`.

Importing it takes no time, and the signals that end a command are handled before the subcommands are loaded, which
takes some tenths of a second: Ctrl-C prints one line at any time.
"""

from __future__ import annotations

import sys


def main(arguments: list[str] | tuple[str, ...] | None = None, prog_name: str | None = None) -> None:
    """Runs a subcommand, and exits.

    Args:
      arguments: of the command; None: those of this process.
      prog_name: the command's name in help texts; None: that of this process.

    Raises:
      SystemExit: always.
    """
    try:
        from config import interruption
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    with interruption.handled():
        try:
            with interruption.first():
                from regraft import commands
        except KeyboardInterrupt:
            print(interruption.message(), file=sys.stderr)
            sys.exit(interruption.exit_code())
        commands.main(arguments, prog_name=prog_name)
