"""Forwards a port of this machine into a network namespace.

    nsenter --net=… python tests/helpers/port_forward.py FD HOST PORT

FD is a listening socket. It was made outside, so it takes connections from there. The connections to HOST and PORT are
made inside.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


def forward(listening: socket.socket, host: str, port: int) -> None:
    """Forwards every connection, until the process is killed."""
    while True:
        outside, _ = listening.accept()
        try:
            inside = socket.create_connection((host, port), timeout=10)
        except OSError as error:
            print(f"{host}:{port}: {error}", flush=True)
            outside.close()
            continue
        inside.settimeout(None)
        for source, target in ((outside, inside), (inside, outside)):
            threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side may close at any time
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    forward(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3]))
