"""The process that decodes pictures: `python -m flawsmith.core.store.images.decoder_child MEMORY_BYTES`.

It reads requests from its standard input and answers on its standard output, one after another, until the input ends.
Its memory is bounded, and so are the seconds of
processor time for one request; the kernel ends it where it needs more.
"""

import logging
import os
import resource
import signal
import sys
import time
import warnings
from dataclasses import asdict
from typing import Any

from flawsmith.core.store.images.decoder_messages import read_message, write_message
from flawsmith.core.store.images.decoding import UnusableImage, decode_photograph
from flawsmith.core.store.images.encoding import encode_png
from flawsmith.core.store.images.pixels import image_mode, pixel_digest

HEADER_SECONDS = 3.0  # of processor time, to read what precedes the pixels, and again for a small picture …
SECONDS_PER_PIXEL = 4e-7  # … and for its pixels: four times what decoding, converting and encoding take
NICENESS = 10  # serving images goes first


def main(memory_bytes: int) -> None:
    """Answers requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    warnings.simplefilter("ignore")  # what Pillow and tifffile say about a stranger's metadata is no news
    logging.disable()
    # Not a Python handler: it would only run when the decoder returns.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    while True:
        try:
            request, data = read_message(sys.stdin.buffer)
        except EOFError:
            return
        begun = time.process_time()
        answer, png = _answer(request, data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        write_message(sys.stdout.buffer, {**answer, "seconds": time.process_time() - begun}, png)


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    most = request.pop("seconds")

    def allow(size: tuple[int, int]) -> None:
        seconds = min(most, HEADER_SECONDS + SECONDS_PER_PIXEL * size[0] * size[1])
        signal.setitimer(signal.ITIMER_PROF, seconds)

    allow((0, 0))
    try:
        decoded = decode_photograph(data, **request, on_size=allow)
        png = encode_png(decoded.image)
    except UnusableImage as error:
        return {"refusal": str(error)}, b""
    except MemoryError:
        return {"refusal": "it takes too much memory to decode"}, b""
    image = decoded.image
    return {
        "mode": image_mode(image),
        "size": image.size,
        "pixel_digest": pixel_digest(image),
        "range": decoded.range and asdict(decoded.range),
        "gray_levels": image.convert("L").histogram(),
    }, png


if __name__ == "__main__":
    main(int(sys.argv[1]))
