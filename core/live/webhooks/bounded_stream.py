"""A connection that ends at a time, however slowly the other side answers."""

import ssl
import time
from typing import Any

from httpcore2 import NetworkStream, ReadTimeout, WriteTimeout


class BoundedStream(NetworkStream):
    """Reads and writes until ``deadline``, by `time.monotonic`, and not beyond.

    A timeout of each read alone would let a receiver send a byte at a time for ever.
    """

    def __init__(self, stream: NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._left(timeout)
        if left <= 0:
            raise ReadTimeout("the answer took too long")
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = self._left(timeout)
        if left <= 0:
            raise WriteTimeout("the receiver took too long to read")
        self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, max(0.001, self._left(timeout)))
        return BoundedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        return left if timeout is None else min(left, timeout)
