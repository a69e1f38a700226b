"""Decodes pictures in a child process with bounded memory and processor time, which can be ended at any moment.

A small file can make a decoder allocate gigabytes or compute for minutes, and no thread can be stopped inside it.
"""

import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from flawsmith.core.domain.image_modes import ImageMode
from flawsmith.core.store.images.decoder_messages import read_message, write_message
from flawsmith.core.store.images.decoding import UnusableImage
from flawsmith.core.store.images.wide_values import ValueRange

MAX_WAIT_SECONDS = 300.0  # for one picture, on a machine that is busy with other work
MEMORY_BYTES = 768 * 1024 * 1024  # of address space, for Python, its libraries and the file …
MEMORY_BYTES_PER_PIXEL = 24  # … and for the copies of a picture in the modes that it passes through
_POLL_SECONDS = 0.1
_CHILD = "flawsmith.core.store.images.decoder_child"


class Abandoned(Exception):
    """Nobody waits for the pictures any more."""


@dataclass(frozen=True)
class DecodedFile:
    """A usable picture: its PNG, what the PNG holds, and the range of its values where they were of more than 8 bits.

    ``pixel_digest`` is the SHA-256 of the pixels, empty where all are equal; ``size`` is (width, height);
    ``gray_levels`` counts the pixels of each of the 256 gray levels.
    """

    png: bytes
    mode: ImageMode
    size: tuple[int, int]
    pixel_digest: str
    range: ValueRange | None
    gray_levels: list[int]


class DecoderProcess:
    """One child process that decodes many files, one after another; another one takes its place if it dies.

    Attributes:
        seconds: processor time that all files together took.
    """

    def __init__(self, max_pixels: int, min_side: int, abandoned: Callable[[], bool]) -> None:
        self._bounds = {"max_pixels": max_pixels, "min_side": min_side}
        self._memory_bytes = MEMORY_BYTES + MEMORY_BYTES_PER_PIXEL * max_pixels
        self._abandoned = abandoned
        self._child: subprocess.Popen[bytes] | None = None
        self.seconds = 0.0

    def __enter__(self) -> "DecoderProcess":
        self._child = self._start()  # it imports its libraries while the first file is unpacked
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._end()

    def decode(
        self,
        data: bytes,
        seconds: float = MAX_WAIT_SECONDS,
        white: int | None = None,
        min_side: int | None = None,
    ) -> DecodedFile:
        """Decodes one file, as `decode_photograph` does, in at most so many seconds of processor time.

        A ``min_side`` takes the place of that of photographs.

        Raises:
            UnusableImage: what `decode_photograph` refuses, or the file takes more memory or time than one may.
            Abandoned: nobody waits any more.
        """
        if self._abandoned():
            raise Abandoned
        child = self._child = self._child or self._start()
        begun = time.monotonic()
        try:
            bounds = self._bounds if min_side is None else {**self._bounds, "min_side": min_side}
            answer, png = self._exchange(child, {**bounds, "seconds": seconds, "white": white}, data)
        except (EOFError, BrokenPipeError):
            self.seconds += min(seconds, time.monotonic() - begun)
            raise UnusableImage(self._reason_of_death(child)) from None
        except BaseException:  # an answer may be on its way, which the next file must not get
            self._end()
            raise
        self.seconds += answer["seconds"]
        if "refusal" in answer:
            raise UnusableImage(answer["refusal"])
        found = answer["range"] and ValueRange(**answer["range"])
        width, height = answer["size"]
        return DecodedFile(png, answer["mode"], (width, height), answer["pixel_digest"], found, answer["gray_levels"])

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", _CHILD, str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the terminal reaches the service, which ends this process
        )

    def _exchange(
        self, child: "subprocess.Popen[bytes]", request: dict[str, Any], data: bytes
    ) -> tuple[dict[str, Any], bytes]:
        assert child.stdin
        assert child.stdout
        write_message(child.stdin, request, data)
        poll, deadline = select.poll(), time.monotonic() + MAX_WAIT_SECONDS
        poll.register(child.stdout, select.POLLIN)
        while not poll.poll(_POLL_SECONDS * 1000):
            if self._abandoned():
                raise Abandoned
            if time.monotonic() > deadline:
                child.send_signal(signal.SIGPROF)
        return read_message(child.stdout)

    def _reason_of_death(self, child: "subprocess.Popen[bytes]") -> str:
        status = child.wait()
        self._end()
        if status == -signal.SIGPROF:
            return "it takes far longer to decode than a picture of its size; save it again, without progressive scans"
        if status < 0:
            return "it ends the decoder; save it again with another program"
        raise RuntimeError(f"the decoder process ended with status {status}")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child:
            child.kill()
            with suppress(BrokenPipeError), child:  # closes its pipes and waits for it
                pass
