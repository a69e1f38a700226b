"""The note and the tags of versions. They lie with a version's results, and go with it."""

import threading
from collections.abc import Callable

from flawsmith.core.domain.records import ModelVersion
from flawsmith.core.domain.remarks import Remarks
from flawsmith.core.store.interface import Stamp, Store
from flawsmith.core.store.version_results import remove_results

NONE = Remarks()


class VersionRemarks:
    """The remarks of all versions: ``models/NAME/results/VERSION/remarks.json``."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, tuple[Stamp, Remarks]] = {}  # by path, with the file's stamp
        self._lock = threading.Lock()

    def of(self, model: str, number: int) -> Remarks:
        """A version's remarks. Reads the file only if it changed."""
        path = f"models/{model}/results/{number}/remarks.json"
        with self._lock:
            stamp = self.store.stamp(path)
            if stamp is None:
                self._read.pop(path, None)
                return NONE
            if path not in self._read or self._read[path][0] != stamp:
                self._read[path] = (stamp, Remarks.model_validate(self.store.read_json(self.store.path(path))))
            return self._read[path][1]

    def change(self, version: ModelVersion, change: Callable[[Remarks], Remarks]) -> Remarks:
        """Changes a version's remarks, durably.

        Raises:
            FileNotFoundError: the version was deleted meanwhile.
            Exception: what ``change`` raises; nothing is changed then.
        """
        folder = self.store.path("models", version.model, "results", str(version.version))
        with self.store.locked(folder):
            before = self.of(version.model, version.version)
            after = change(before)
            if after != before:
                self.store.write_json(folder / "remarks.json", after.model_dump(mode="json"))
        if not self.store.path("models", version.model, "versions", str(version.version)).is_dir():
            remove_results(folder, folder / "remarks.json")
            raise FileNotFoundError(f"there is no version {version.ref} any more")
        return after

    def inherit(self, version: ModelVersion, remarks: Remarks) -> None:
        """Gives a version the remarks of the job that published it, unless it has some, or had. Raises as `change`."""
        if remarks.noted_at or remarks.tags or remarks.note:
            self.change(version, lambda own: own if own.noted_at else _dated(remarks, version))


def _dated(remarks: Remarks, version: ModelVersion) -> Remarks:
    return remarks.changed(noted_at=remarks.noted_at or version.created_at)
