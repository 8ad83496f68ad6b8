#!/bin/sh
# Prints the path of a Python 3.11: on PATH, from pyenv, or from uv (which fetches one if need be).
set -eu

is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

for candidate in python3.11 python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11.*/bin/python; do
    if is_311 "$candidate"; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
if command -v uv >/dev/null && uv python install --quiet 3.11 >&2; then
    uv python find 3.11
    exit 0
fi
cat >&2 <<'MESSAGE'
Python 3.11 was not found on PATH, in pyenv or through uv. Regraft needs exactly 3.11: TFX's parts ml-metadata and
tensorflow-data-validation publish no wheels for a later one. Any of these gets it:
  apt install python3.11 python3.11-venv        (Debian 12; Ubuntu through the deadsnakes archive)
  pyenv install 3.11
  uv python install 3.11
MESSAGE
exit 1
