"""The command `regraft`: one file for each group of subcommands."""
