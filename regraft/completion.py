"""The subcommand `completion`."""

from __future__ import annotations

import click
from click import shell_completion

from config.errors import ExitCode
from regraft import options

_VARIABLE = "_REGRAFT_COMPLETE"  # click completes if it is set
_USE = {
    "bash": 'add this line to ~/.bashrc: eval "$(regraft completion bash)"',
    "zsh": 'add this line to ~/.zshrc: eval "$(regraft completion zsh)"',
    "fish": "run: regraft completion fish > ~/.config/fish/completions/regraft.fish",
}


@click.command(epilog=options.example('eval "$(regraft completion bash)"'))
@click.argument("shell", type=click.Choice(list(_USE)))
@click.pass_context
def completion(context: click.Context, shell: str) -> ExitCode:
    """Print the completion script for a shell."""
    kind = shell_completion.get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell}: click has no completion for it")
    click.echo(kind(context.find_root().command, {}, "regraft", _VARIABLE).source().strip())
    click.echo(f"# To use it, {_USE[shell]}")
    return ExitCode.OK
