"""The messages between a process and its decoder: a header in JSON and a payload of bytes."""

import json
import struct
from typing import IO, Any

_LENGTHS = struct.Struct("<IQ")  # of the header and of the payload, in bytes


def write_message(stream: IO[bytes], header: dict[str, Any], payload: bytes) -> None:
    """Writes one message: the lengths of both parts, then both."""
    encoded = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(encoded), len(payload)) + encoded)
    stream.write(payload)
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Reads one message. Raises EOFError where the other side has ended."""
    header_bytes, payload_bytes = _LENGTHS.unpack(_read(stream, _LENGTHS.size))
    return json.loads(_read(stream, header_bytes)), _read(stream, payload_bytes)


def _read(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
