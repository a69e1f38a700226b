"""Aliases of models in the artifact store, and the outbox of their changes that nobody was told of yet."""

from contextlib import suppress

from flawsmith.core.domain.jobs import new_identity
from flawsmith.core.domain.records import Moment, Record, now
from flawsmith.core.store.artifacts import AlreadyPublished
from flawsmith.core.store.interface import Place, Store, children


class AliasChange(Record):
    """An alias means another version; ``before`` or ``after`` is None where it means none."""

    id: str
    model: str
    alias: str
    before: int | None
    after: int | None
    at: Moment


class Aliases:
    """Safe to use from several processes at once.

    A change is noted in ``begun`` before it is made and moved to ``made`` after, under the model's lock. So a process
    that is killed in between leaves no change of which nobody hears: what the alias means tells whether it was made.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._begun, self._made = (store.path("webhooks", "alias-changes", each) for each in ("begun", "made"))

    def of(self, model: str) -> dict[str, int]:
        """The versions that the model's aliases mean."""
        path = self._file(model)
        return self.store.read_json(path) if path.exists() else {}

    def set(self, model: str, alias: str, number: int) -> None:
        """Points an alias at a version."""
        with self.store.locked(self._folder(model)):
            self._change(model, alias, self.of(model), number)

    def delete(self, model: str, alias: str) -> bool:
        """Deletes an alias; returns whether there was one."""
        with self.store.locked(self._folder(model)):
            aliases = self.of(model)
            if alias not in aliases:
                return False
            self._change(model, alias, aliases, None)
            return True

    def changes(self) -> list[AliasChange]:
        """The changes that were made and not forgotten yet, the oldest first."""
        for path in _files(self._begun):
            with suppress(FileNotFoundError):  # its process lived, and went on
                model = _read(path).model
                with self.store.locked(self._folder(model)):
                    self._settle(model)
        found = []
        for path in _files(self._made):
            with suppress(FileNotFoundError):
                found.append(_read(path))
        return found

    def forget(self, change: AliasChange) -> None:
        """Somebody was told of the change."""
        self._noted(self._made, change).unlink(missing_ok=True)

    def _change(self, model: str, alias: str, aliases: dict[str, int], after: int | None) -> None:
        """Under the model's lock: changes what the alias means, if it does."""
        self._settle(model)
        before = aliases.get(alias)
        if before == after:
            return
        change = AliasChange(id=new_identity(), model=model, alias=alias, before=before, after=after, at=now())
        self.store.write_bytes(self._noted(self._begun, change), change.model_dump_json().encode())
        others = {name: number for name, number in aliases.items() if name != alias}
        self.store.write_json(self._file(model), others if after is None else {**others, alias: after})
        with suppress(OSError):  # the change is made; who looks next settles it
            self._move_to_made(change)

    def _settle(self, model: str) -> None:
        """Under the model's lock: what a killed process began is a change, or none."""
        for path in _files(self._begun):
            with suppress(FileNotFoundError):
                change = _read(path)
                if change.model != model:
                    continue
                if self.of(model).get(change.alias) == change.after:
                    self._move_to_made(change)
                else:
                    path.unlink()

    def _move_to_made(self, change: AliasChange) -> None:
        begun = self._noted(self._begun, change)
        with suppress(AlreadyPublished):  # by a process that was killed before it removed what is moved
            self.store.move(begun, self._noted(self._made, change))
        begun.unlink(missing_ok=True)

    def _folder(self, model: str) -> Place:
        return self.store.path("models", model)

    def _file(self, model: str) -> Place:
        return self._folder(model) / "aliases.json"

    def _noted(self, folder: Place, change: AliasChange) -> Place:
        return folder / f"{change.id}.json"


def _read(path: Place) -> AliasChange:
    """Raises FileNotFoundError."""
    return AliasChange.model_validate_json(path.read_bytes())


def _files(folder: Place) -> list[Place]:
    """The oldest first: identities sort by time."""
    return sorted(each for each in children(folder) if each.suffix == ".json" and not each.name.startswith("."))
