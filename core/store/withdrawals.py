"""Addresses that an operator withdrew: their images are never given out again.

A seed of a type is withdrawn with every attribute: a range of the angle that is a hundredth wider may draw the same
image.
"""

import threading
from collections.abc import Mapping

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.records import ModelVersion, now
from flawsmith.core.store.interface import Stamp, Store
from flawsmith.core.store.version_results import results_folder

Withdrawn = Mapping[Address, str]
"""Withdrawn addresses of a version, without attributes, each with the reason in words."""

_NONE: Withdrawn = {}


class Withdrawals:
    """The withdrawn addresses of all versions: ``models/NAME/results/VERSION/withdrawn.json``, a growing list."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, tuple[Stamp, Withdrawn]] = {}  # by path, with the file's stamp
        self._lock = threading.Lock()

    def withdraw(self, version: ModelVersion, address: Address, reason: str) -> None:
        """Withdraws an address for ever, with every attribute. The first reason counts."""
        address = address.plain
        folder = self.store.path("models", version.model, "versions", str(version.version))
        path = results_folder(folder) / "withdrawn.json"
        with self.store.locked(path.parent):
            entries = self.store.read_json(path) if path.exists() else []
            if address not in _addresses(entries):
                entry = {"defect_type": address.defect_type, "seed": address.seed, "reason": reason}
                self.store.write_json(path, [*entries, {**entry, "withdrawn_at": now().isoformat()}])

    def of(self, version: ModelVersion) -> Withdrawn:
        """The version's withdrawn addresses. Reads the file only if it changed."""
        path = f"models/{version.model}/results/{version.version}/withdrawn.json"
        with self._lock:
            stamp = self.store.stamp(path)
            if stamp is None:
                return _NONE
            if path not in self._read or self._read[path][0] != stamp:
                try:
                    self._read[path] = (stamp, _addresses(self.store.read_json(self.store.path(path))))
                except FileNotFoundError:
                    return _NONE
            return self._read[path][1]


def _addresses(entries: list[dict[str, str | int]]) -> dict[Address, str]:
    return {Address(str(each["defect_type"]), int(each["seed"])): str(each["reason"]) for each in entries}
