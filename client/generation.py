"""Calls that give images: new ones, and images by address."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

from flawsmith.client.commands import Answer, Flow, Request
from flawsmith.client.errors import Invalid
from flawsmith.client.images import Image, Images
from flawsmith.client.models import Attributes, numbered
from flawsmith.client.operations import Calls, given, operation, part, record, texts
from flawsmith.client.records import Version
from flawsmith.client.retries import repeated

MOST_AT_ONCE = 256  # images of one request; the service's default bound, until it says another
SPARE_SECONDS = 15.0  # between the deadline that the service keeps and that of the connection
_ADDRESS = re.compile(
    r"/models/(?P<name>[^/]+)/versions/(?P<number>\d+)/images/(?P<seed>\d+)\.png(?:\?(?P<query>.*))?$"
)


class ImageCalls(Calls):
    """Synthetic images."""

    _most_images = MOST_AT_ONCE  # of one request, as far as this client knows

    @operation
    def generate(
        self,
        model: str | Version,
        count: int = 1,
        *,
        defect_type: str | None = None,
        seed: int | None = None,
        attributes: Attributes | None = None,
        labels: Literal["mask", "box"] | None = None,
        max_similarity: float | None = None,
        nearest: bool = False,
        deadline_seconds: float = 30.0,
        on_progress: Callable[[int, int], None] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Images]:
        """Makes images; ``.pil()``, ``.numpy()`` and ``.save(folder)`` of the answer give them in other forms.

        More images than the service makes for one request, 256 or what it says, are several requests to the same
        version.

        Args:
            model: ``steel``, ``steel@2`` or ``steel@production``.
            defect_type: None: all types of the model in turn.
            seed: the images seed … seed + count - 1, the same each time; None: images that no caller was given before.
            attributes: what the images shall be, such as ``{"angle": (30, 60)}`` (docs/attributes.md).
            labels: what shall come with each image (docs/labels.md).
            max_similarity: to a training photograph, at most (docs/copies.md).
            nearest: also the nearest training photograph of each image.
            deadline_seconds: how long one request may take.
            on_progress: is told the images that are there, and all.
            idempotency_key: the same key gives the same new images again, for a day. Without, a repeated request takes
                other new images.

        Raises:
            ValueError: count is below 1.
            Busy: the service cannot make them in time.
        """
        if count < 1:
            raise ValueError(f"count is {count}; ask for at least one image")
        reference = model.ref if isinstance(model, Version) else model
        body = given(
            defect_type=defect_type,
            attributes=attributes and {name: list(bounds) for name, bounds in attributes.items()},
            labels=labels,
            max_similarity=max_similarity,
            deadline_seconds=deadline_seconds,
        )
        images: list[Image] = []
        first = 0
        while first < count:
            number = min(count - first, self._most_images)
            seeded = {} if seed is None else {"seed": seed + first}
            request = Request(
                method="POST",
                path="/generate",
                json={"model": reference, "count": number, **body, **seeded},
                params=texts({"nearest": True if nearest else None}),
                headers={"Accept": "application/json", **_key(idempotency_key, first)},
                silence=deadline_seconds + SPARE_SECONDS,
            )
            try:
                answer = yield from repeated(self.retry_policy, request)
            except Invalid as error:
                self._most_images = _fewer_than(number, error)
                continue
            reference, batch = record(_images, answer)
            images += batch
            first += number
            if on_progress:
                on_progress(len(images), count)
        return Images(reference, images)

    @operation
    def image(
        self,
        model: str | Version,
        seed: int | None = None,
        *,
        defect_type: str | None = None,
        attributes: Attributes | None = None,
        mask: bool = False,
    ) -> Flow[Image]:
        """The image at an address: the same bytes for ever.

        Args:
            model: its version; or the whole address, such as ``/models/steel/versions/1/images/42.png``, in place of
                all other arguments.
            seed: of the image.
            defect_type: None: that of the seed, of a model of several types.
            attributes: of the address, as in `generate`.
            mask: fetch its mask as well, of a version with masks.

        Raises:
            ValueError: neither a seed nor an address.
            Withdrawn: an operator withdrew the image.
        """
        query: dict[str, Any] = {}
        if seed is None:
            name, number, seed, query = _parsed(str(model))
        else:
            name, number = yield from numbered(self, model)
            query = {key: _range_text(key, *each) for key, each in (attributes or {}).items()}
            query |= given(defect_type=defect_type)
        place = f"/models/{part(name)}/versions/{number}/images/{seed}"
        answer = yield from self._get(f"{place}.png", **query)
        if answer.media_type != "image/png":
            answer.json()  # raises UnexpectedAnswer
        drawn = (yield from self._get(f"{place}/mask.png", **query)).content if mask else None
        return _image_of(answer, f"{name}@{number}", seed, f"{place}.png", query, drawn)


def _range_text(name: str, low: float, high: float) -> str:
    """The range as addresses have it: in hundredths, and of an angle 0 degrees at its begin and 180 at its end."""
    low, high = (round(float(each), 2) + 0.0 for each in (low, high))  # + 0: no -0
    if name == "angle" and low == 180:
        low, high = 0.0, 0.0 if high == 180 else high
    if name == "angle" and high == 0 < low:
        high = 180.0
    return f"{low:g}..{high:g}"


def _fewer_than(asked: int, refusal: Invalid) -> int:
    """The most images of one request, as the refusal of so many says. Raises it where it is about something else."""
    most = refusal.members.get("most_images")
    if isinstance(most, int) and 0 < most < asked:
        return most
    raise refusal


def in_batches(count: int, most: int = MOST_AT_ONCE) -> Iterator[tuple[int, int]]:
    """(first, number) of each batch of ``count`` images."""
    for first in range(0, count, most):
        yield first, min(most, count - first)


def _key(key: str | None, first: int) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": f"{key}-{first}" if first else key}


def _images(content: Any) -> tuple[str, list[Image]]:
    """The version and the images of a JSON answer."""
    model = str(content["model"])
    return model, [_image(model, each) for each in content["images"]]


def _image(model: str, entry: dict[str, Any]) -> Image:
    boxes: list[Any] | None = entry.get("boxes")
    return Image(
        png=base64.b64decode(entry.pop("data")),
        model=model,
        defect_type=entry["defect_type"],
        seed=entry["seed"],
        url=entry["url"],
        boxes=boxes and [(left, top, right, bottom) for left, top, right, bottom in boxes],
        mask_png=base64.b64decode(entry.pop("mask")) if "mask" in entry else None,
        nearest=entry.get("nearest"),
        raw=entry,
    )


def _image_of(answer: Answer, model: str, seed: int, path: str, query: Mapping[str, str], drawn: bytes | None) -> Image:
    """An image by address. Its type is the one that was asked for, else that which its PNG says."""
    defect_type = query.get("defect_type") or _text_of(answer.content, b"Defect-Type") or ""
    asked = "&".join(f"{name}={part(value)}" for name, value in query.items())
    return Image(answer.content, model, defect_type, seed, f"{path}?{asked}" if asked else path, mask_png=drawn)


def _parsed(address: str) -> tuple[str, int, int, dict[str, Any]]:
    """Name, version, seed and query of an image's address, with or without the service's URL in front."""
    match = _ADDRESS.search(address)
    if match is None:
        raise ValueError(
            f"'{address}' is no address of an image; give a seed, or /models/NAME/versions/N/images/SEED.png"
        )
    query = {name: values[-1] for name, values in parse_qs(match["query"] or "", strict_parsing=False).items()}
    return unquote(match["name"]), int(match["number"]), int(match["seed"]), query


def _text_of(png: bytes, keyword: bytes) -> str | None:
    """A text chunk of a PNG (PNG specification, 11.3.4), without decoding the picture."""
    position = 8
    while position + 8 <= len(png):
        length, kind = int.from_bytes(png[position : position + 4], "big"), png[position + 4 : position + 8]
        content = png[position + 8 : position + 8 + length]
        if kind in (b"tEXt", b"iTXt") and content.startswith(keyword + b"\0"):
            text = content[len(keyword) + 1 :]
            return text.decode("latin-1") if kind == b"tEXt" else text.split(b"\0", 4)[-1].decode()
        position += 12 + length
    return None
