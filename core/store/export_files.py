"""The files of an export in its job's folder: the archive, and which addresses it holds."""

import json
from bisect import bisect_right
from collections.abc import Iterable
from typing import Self

from flawsmith.core.domain.addresses import Address
from flawsmith.core.store.interface import Place
from flawsmith.core.store.job_folder import JobFolder

ARCHIVE = "archive.zip"
ADDRESSES = "addresses.json"


def archive_file(folder: JobFolder) -> Place:
    """Where the archive is once the job has succeeded."""
    return folder.path / ARCHIVE


def addresses_file(folder: JobFolder) -> Place:
    """Where the archive's `HeldAddresses` are."""
    return folder.path / ADDRESSES


class HeldAddresses:
    """The addresses that an archive holds, of one or several model versions, as ranges of seeds."""

    def __init__(self) -> None:
        self._ranges: dict[str, dict[str, list[list[int]]]] = {}  # [first, last] by version and type

    @property
    def versions(self) -> list[str]:
        """Of which the archive holds images, such as ``scratches@2``."""
        return list(self._ranges)

    def add(self, version: str, defect_type: str, seed: int) -> None:
        """Adds an address; fastest in the order of the seeds."""
        ranges = self._ranges.setdefault(version, {}).setdefault(defect_type, [])
        place = bisect_right(ranges, seed, key=lambda each: each[0])  # of the first range that begins after the seed
        if place and seed <= ranges[place - 1][1]:
            return
        follows = place > 0 and seed == ranges[place - 1][1] + 1
        precedes = place < len(ranges) and seed == ranges[place][0] - 1
        if follows and precedes:
            ranges[place - 1][1] = ranges.pop(place)[1]
        elif follows:
            ranges[place - 1][1] = seed
        elif precedes:
            ranges[place][0] = seed
        else:
            ranges.insert(place, [seed, seed])

    def among(self, version: str, addresses: Iterable[Address]) -> list[Address]:
        """Those of a version's addresses, without attributes, that the archive holds."""
        return [each for each in addresses if self._holds(version, each)]

    def _holds(self, version: str, address: Address) -> bool:
        ranges = self._ranges.get(version, {}).get(address.defect_type, [])
        place = bisect_right(ranges, address.seed, key=lambda each: each[0]) - 1
        return place >= 0 and address.seed <= ranges[place][1]

    def to_bytes(self) -> bytes:
        """The file's content."""
        return json.dumps(self._ranges).encode()

    @classmethod
    def load(cls, path: Place) -> Self:
        """Raises FileNotFoundError."""
        found = cls()
        found._ranges = json.loads(path.read_bytes())
        return found
