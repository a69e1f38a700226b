"""A TCP door to a Redis server, which can be shut in two ways."""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any


class Shut(Enum):
    """How a door is shut. Both ways cut every connection that stands."""

    SILENT = "new connections are accepted, and never answered"
    RESETTING = "new connections are reset"


class RedisDoor:
    """Forwards TCP connections to a server's unix socket, in a thread of its own, while it is open."""

    def __init__(self, server: Path, host: str = "127.0.0.1") -> None:
        self.server, self.host = server, host
        self.shut: Shut | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._standing: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self._port}"

    def __enter__(self) -> "RedisDoor":
        self._thread.start()
        self._port = self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def shut_as(self, shut: Shut | None) -> None:
        """From now on: open (None), or shut in this way."""
        self.shut = shut
        self._run(self._cut())

    async def _listen(self) -> int:
        listener = await asyncio.start_server(self._connected, self.host, 0)
        return int(listener.sockets[0].getsockname()[1])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._standing.add(writer)
        try:
            if self.shut is Shut.RESETTING:
                return _reset(writer)
            if self.shut is Shut.SILENT:
                await reader.read()
                return None
            inner_reader, inner_writer = await asyncio.open_unix_connection(str(self.server))
            self._standing.add(inner_writer)
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            self._standing.discard(inner_writer)
        except OSError:
            _reset(writer)
        finally:
            self._standing.discard(writer)

    async def _close(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(self) -> None:
        for writer in self._standing:
            _reset(writer)
        self._standing.clear()

    def _run(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
