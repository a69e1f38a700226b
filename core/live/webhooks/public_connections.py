"""Connections to receivers. A private address is refused when it is connected to, whatever a name meant before."""

import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any

from httpcore2 import ConnectError, NetworkBackend, NetworkStream, SyncBackend

from flawsmith.core.domain.webhooks import Network, permits
from flawsmith.core.live.webhooks.bounded_stream import BoundedStream


class PrivateAddress(ConnectError):
    """The host has no address that may be connected to."""


class PublicConnections(NetworkBackend):
    """Connects to public addresses, and to those of the networks that are allowed.

    A name is resolved once, and the connection goes to the address that was checked: a name server that answers twice
    differently gains nothing. A connection lasts for ``seconds`` at most.
    """

    def __init__(self, allowed: Sequence[Network], seconds: float) -> None:
        self.allowed, self.seconds = allowed, seconds
        self._sockets = SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        """Raises PrivateAddress, httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ConnectError(f"the name {host} cannot be resolved") from error
        addresses = [str(each[4][0]) for each in found]
        permitted = [each for each in addresses if permits(each, self.allowed)]
        if not permitted:
            raise PrivateAddress(f"{host} is {addresses[0]}, which is no public address")
        failed: Exception = ConnectError("not tried")
        for address in permitted:
            try:
                stream = self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
                return BoundedStream(stream, time.monotonic() + self.seconds)
            except ConnectError as error:
                failed = error
        raise failed
