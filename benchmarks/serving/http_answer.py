"""Finds the end of an HTTP/1.1 answer, its status and one of its headers. Bodies are counted, not kept."""

END_OF_HEAD = b"\r\n\r\n"


class Answer:
    """Parses one answer at a time from the bytes of a connection; call `clear` before the next.

    Args:
        tally: name of a header; its value becomes ``tallied``.
    """

    def __init__(self, tally: str = "") -> None:
        self._wanted = f"\r\n{tally.lower()}:".encode() if tally else b""
        self.clear()
        self.closes = False

    def clear(self) -> None:
        self.status, self.bytes, self.tallied = 0, 0, ""
        self._head, self._left, self._chunked = b"", 0, False
        self._rest = b""  # of a chunked body: bytes that are not yet parsed

    @property
    def begun(self) -> bool:
        """Whether any byte of it has arrived."""
        return self.bytes > 0

    def feed(self, data: bytes) -> bool:
        """Parses the next bytes of the connection; returns whether the answer is complete."""
        self.bytes += len(data)
        if self.status:
            return self._feed_body(data)
        self._head += data
        end = self._head.find(END_OF_HEAD)
        if end < 0:
            return False
        head, body = self._head[: end + 2].lower(), self._head[end + 4 :]
        self.status = int(head[9:12])
        self.closes = b"\r\nconnection: close" in head
        self.tallied = _value(head, self._wanted).decode() if self._wanted else ""
        self._chunked = b"\r\ntransfer-encoding: chunked" in head
        self._left = int(_value(head, b"\r\ncontent-length:") or 0)
        return self._feed_body(body)

    def _feed_body(self, data: bytes) -> bool:
        if not self._chunked:
            self._left -= len(data)
            return self._left <= 0
        if self._left > len(data):  # within a chunk: nothing to parse
            self._left -= len(data)
            return False
        return self._feed_chunks(data)

    def _feed_chunks(self, data: bytes) -> bool:
        """Parses chunk by chunk; ``_left`` is the rest of the current chunk with its line end, in bytes."""
        rest = self._rest + data
        while True:
            if self._left > len(rest):
                self._left -= len(rest)
                self._rest = b""
                return False
            rest = rest[self._left :]
            self._left = 0
            line_end = rest.find(b"\r\n")
            if line_end < 0:
                self._rest = rest
                return False
            size = int(rest[:line_end].split(b";")[0], 16)
            if size == 0:
                # An empty line ends the trailers. There are none, so it follows the size of the last chunk.
                self._rest = rest
                return rest.endswith(END_OF_HEAD)
            rest = rest[line_end + 2 :]
            self._left = size + 2


def _value(head: bytes, name: bytes) -> bytes:
    start = head.find(name)
    if start < 0:
        return b""
    start += len(name)
    return head[start : head.index(b"\r\n", start)].strip()
