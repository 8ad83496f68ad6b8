"""`python -m regraft` does the same as the command `regraft`."""

from regraft.cli import main

if __name__ == "__main__":
    main(prog_name="regraft")
