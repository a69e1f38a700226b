"""A TCP proxy in front of a server that can be blocked in two ways."""

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any


class Blockage(Enum):
    """How a proxy is blocked. Both ways first break every open connection."""

    SILENT = "new connections are accepted, and never answered"
    RESETTING = "new connections are reset"


class TcpProxy:
    """Forwards TCP connections to a server, in a thread of its own, unless it is blocked.

    Args:
        server: its unix socket, or its port on this machine.
        host: where the proxy listens.
    """

    def __init__(self, server: Path | int, host: str = "127.0.0.1") -> None:
        self.server, self.host = server, host
        self.blockage: Blockage | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def __enter__(self) -> "TcpProxy":
        self._thread.start()
        self._port = self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def block(self, blockage: Blockage) -> None:
        """Breaks all connections and blocks new ones."""
        self.blockage = blockage
        self._run(self._reset_all())

    def unblock(self) -> None:
        """Breaks all connections and forwards new ones."""
        self.blockage = None
        self._run(self._reset_all())

    async def _listen(self) -> int:
        listener = await asyncio.start_server(self._connected, self.host, 0)
        return int(listener.sockets[0].getsockname()[1])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.blockage is Blockage.RESETTING:
                return _reset(writer)
            if self.blockage is Blockage.SILENT:
                await reader.read()
                return None
            server_reader, server_writer = await self._connect()
            self._open.add(server_writer)
            await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
            self._open.discard(server_writer)
        except OSError:
            _reset(writer)
        finally:
            self._open.discard(writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.server, int):
            return await asyncio.open_connection("127.0.0.1", self.server)
        return await asyncio.open_unix_connection(str(self.server))

    async def _close(self) -> None:
        await self._reset_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=1)  # those of open connections end by themselves
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reset_all(self) -> None:
        for writer in self._open:
            _reset(writer)
        self._open.clear()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes a connection by RST instead of FIN (SO_LINGER with a time of 0)."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
