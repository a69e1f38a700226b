"""Collects what of an upload's masks and labels cannot be used, such as boxes outside their photographs."""

from collections import defaultdict

from flawsmith.core.domain.records import RejectedFile
from flawsmith.core.store.archives import printable
from flawsmith.core.store.datasets.rejected_files import shortened

MOST_NAMED = 3  # photographs in one reason


class PassedOver:
    """Whole files, and parts of files that are used otherwise."""

    def __init__(self) -> None:
        self._photographs: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._counts: dict[tuple[str, str], int] = defaultdict(int)
        self._files: dict[str, str] = {}

    def add_file(self, file: str, reason: str) -> None:
        """Notes a file of which nothing is used."""
        self._files[file] = reason

    def add(self, file: str, what: str, photograph: str = "") -> None:
        """Notes one part of a file. ``what`` is a plural such as "boxes outside their photographs"."""
        key = file, what
        self._counts[key] += 1
        named = self._photographs[key]
        if photograph and photograph not in named and len(named) <= MOST_NAMED:
            named.append(photograph)

    def listed(self) -> list[RejectedFile]:
        """An entry for each file and reason, with the number of parts and the first photographs."""
        files = [RejectedFile(file=shortened(file), reason=reason) for file, reason in self._files.items()]
        parts = [RejectedFile(file=shortened(file), reason=self._reason(file, what)) for file, what in self._counts]
        return files + parts

    def _reason(self, file: str, what: str) -> str:
        named = [shortened(printable(each)) for each in self._photographs[file, what]]
        more = ["…"] if len(named) > MOST_NAMED else []
        where = f", of {', '.join([*named[:MOST_NAMED], *more])}" if named else ""
        return f"used in part; passed over: {self._counts[file, what]} {what}{where}"
