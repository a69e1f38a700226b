"""Where an HTTP/1.1 answer ends, and the little of it that a load generator wants to know. Bodies are not kept."""

END_OF_HEAD = b"\r\n\r\n"


class Answer:
    """One answer at a time from a connection's bytes; `clear` before the next.

    Args:
        tally: name of the header whose value is kept as ``tallied``.
    """

    def __init__(self, tally: str = "") -> None:
        self._wanted = f"\r\n{tally.lower()}:".encode() if tally else b""
        self.clear()
        self.closes = False

    def clear(self) -> None:
        self.status, self.bytes, self.tallied = 0, 0, ""
        self._head, self._left, self._chunked = b"", 0, False
        self._rest = b""  # of a chunked body: what was not yet understood

    @property
    def begun(self) -> bool:
        """Whether any byte of it has come."""
        return self.bytes > 0

    def feed(self, data: bytes) -> bool:
        """Takes the connection's next bytes; whether the answer is whole now."""
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
        if self._left > len(data):  # well inside a chunk: nothing to understand
            self._left -= len(data)
            return False
        return self._feed_chunks(data)

    def _feed_chunks(self, data: bytes) -> bool:
        """Goes from chunk to chunk; ``_left`` is what is to come of the current one with its line end."""
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
                # Trailers end with an empty line; none are sent, so it follows the last chunk's size.
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
