"""Finds the priors that training jobs can start from: safetensors files, each with its card in the metadata."""

import json
import logging
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from flawsmith.core.domain.priors import METADATA_KEY, PriorCard

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[2] / "models" / "presets"
"""Of the package: ``PRESET/priors/RESOLUTION-MODE.safetensors`` below it."""

LONGEST_HEADER = 1_000_000  # bytes


class UnknownPrior(LookupError):
    """No prior has this digest."""


class Priors:
    """The priors of the package and of one more folder.

    Args:
        folder: with more of them, in any folder below it; they come first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folders = [each for each in (folder, SHIPPED) if each is not None]

    @property
    def cards(self) -> list[PriorCard]:
        """Of all priors, in the order in which a job looks for one that fits."""
        return [card for card, _ in self._found.values()]

    def path(self, weights_sha256: str) -> Path:
        """The file of a prior.

        Raises:
            UnknownPrior: it is not in this installation.
        """
        if weights_sha256 not in self._found:
            raise UnknownPrior(
                f"the prior {weights_sha256[:12]}… that this training starts from is not in this installation; install "
                "the release that the job was submitted to, or name a folder with the prior in FLAWSMITH_PRIORS_DIR"
            )
        return self._found[weights_sha256][1]

    @cached_property
    def _found(self) -> dict[str, tuple[PriorCard, Path]]:
        """By digest. Read once: the files do not change while a process runs."""
        found: dict[str, tuple[PriorCard, Path]] = {}
        for path in (path for folder in self._folders for path in sorted(folder.rglob("*.safetensors"))):
            if card := _card(path):
                found.setdefault(card.weights_sha256, (card, path))
        return found


def _card(path: Path) -> PriorCard | None:
    """The card of a prior's file; None for another safetensors file, such as the saved state of a training.

    A safetensors file begins with the length of its header, 8 bytes, little-endian, and the header in JSON.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            return None
        try:
            metadata = json.loads(file.read(length)).get("__metadata__", {})
        except ValueError:
            return None
    if METADATA_KEY not in metadata:
        return None
    try:
        return PriorCard.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        log.warning("the prior %s is passed over: its card is not one of this release: %s", path, error)
        return None
