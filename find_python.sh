#!/bin/sh
# Prints the path of the Python that .venv is built with, and below it the file of its packages.
#
#   sh find_python.sh              takes that of .venv; else looks on PATH, in pyenv, and asks uv, which fetches one
#   sh find_python.sh python3.13   takes this one
#
# Python 3.11 comes first: it works with older versions of glibc, too. 3.12 and later need glibc 2.39, because the wheels
# of ml-metadata and tensorflow-data-validation do.
set -eu

NEW_LIBC=2.39
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d ' ' -f 2)
unusable=

fail() { echo "$1" >&2; exit 1; }

has_new_libc() { [ "$(printf '%s\n' "$NEW_LIBC" "$libc" | sort -V | head -n 1)" = "$NEW_LIBC" ]; }

# Sets version and path of a Python. Fails if there is none, or if the program answers anything else. For a virtual
# environment, it is the path of the Python that the environment was made from: make deletes .venv before it builds it.
ask() {
    answer=$("$1" -c '
import sys
print("%d.%d %s" % (sys.version_info[0], sys.version_info[1], getattr(sys, "_base_executable", sys.executable)))
' 2>/dev/null) || return 1
    version=${answer%% *} path=${answer#* }
    case "$version" in [0-9].[0-9] | [0-9].[0-9][0-9]) [ -x "$path" ] ;; *) return 1 ;; esac
}

# Prints a Python and its file, and ends, if it can be used.
take() {
    ask "$1" || return 0
    case "$version" in
        3.11) lock=requirements.lock ;;
        3.12 | 3.13) lock=requirements-3.12.lock; has_new_libc || { unusable=$version; return 0; } ;;
        *) return 0 ;;
    esac
    printf '%s\n' "$path" "$lock"
    exit 0
}

case "$(uname -s) $(uname -m)" in
    "Linux x86_64") ;;
    *) fail "Linux on x86-64 is needed. This is $(uname -s) on $(uname -m)." ;;
esac
[ -n "$libc" ] || fail "glibc is needed. This machine has another C library, such as musl: TensorFlow has no wheels for it."

if [ -n "${1:-}" ]; then
    take "$1"
    [ -z "$unusable" ] || fail "$1: Python $unusable needs glibc $NEW_LIBC, and this machine has $libc; glibc $NEW_LIBC or Python 3.11 is needed."
    ask "$1" || fail "$1: this is no Python; give the name or path of Python 3.11, 3.12 or 3.13."
    fail "$1: Python 3.11, 3.12 or 3.13 is needed. This is $version."
fi

# A .venv keeps its version. If its Python is gone, another one of that version will do.
kept=
if [ -s .venv/dependencies ]; then kept=$(cut -d ' ' -f 2 .venv/dependencies | cut -d . -f 1,2); fi
versions="${PYENV_ROOT:-${HOME:-}/.pyenv}/versions"
for candidate in .venv/bin/python ${kept:+"python$kept" "$versions/$kept".*/bin/python}; do
    take "$candidate"
done
for candidate in python3.11 "$versions"/3.11.*/bin/python python3.13 python3.12 python3 python "$versions"/3.13.*/bin/python "$versions"/3.12.*/bin/python; do
    take "$candidate"
done
wanted=3.11
if has_new_libc; then wanted=3.13; fi
if command -v uv >/dev/null && uv python install --quiet "$wanted" >&2; then
    take "$(uv python find "$wanted")"
fi

by="apt install python$wanted-venv, pyenv install $wanted, or uv python install $wanted"
[ -z "$unusable" ] || fail "Python $unusable was found, and glibc $libc: glibc $NEW_LIBC or Python 3.11 is needed ($by)."
if has_new_libc; then wanted="3.11, 3.12 or 3.13"; fi
fail "Python $wanted was not found on PATH, in pyenv or through uv: install it ($by)."
