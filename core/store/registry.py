"""Published model versions and their aliases, in the artifact store."""

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flawsmith.core.domain.addresses import Address
from flawsmith.core.domain.digital_source_type import GENERATED
from flawsmith.core.domain.quality_floor import QualityFloor
from flawsmith.core.domain.records import NAME_PATTERN, Labelling, Model, ModelVersion, now
from flawsmith.core.domain.remarks import Remarks
from flawsmith.core.domain.version_bundle import NumberTaken
from flawsmith.core.store.aliases import Aliases
from flawsmith.core.store.artifacts import AlreadyPublished
from flawsmith.core.store.interface import Place, Stamp, Store, children
from flawsmith.core.store.quality_floors import QualityFloors
from flawsmith.core.store.version_remarks import VersionRemarks
from flawsmith.core.store.version_results import results_folder
from flawsmith.core.store.withdrawals import Withdrawals, Withdrawn

CARDS_KEPT = 1000
VERSIONS_LISTED = 20  # in the message of an error
# File systems keep times coarsely: a folder that changed within this time may change again without a new time stamp.
SETTLED_NANOSECONDS = 50_000_000
PRODUCTION = "production"  # if this alias is set, a model's bare name stands for it
_Stamp = tuple[Stamp | None, Stamp | None]  # of the versions and of the aliases
_REFERENCE = re.compile(NAME_PATTERN[:-1] + r"(?:@([A-Za-z0-9_.-]{1,64}))?$")


class UnknownModel(Exception):
    """There is no model, version or alias of that name."""


class OnlyFailing(Exception):
    """A bare name means no version: all versions of the model are failing, and no alias `production` is set."""

    def __init__(self, model: Model, newest: ModelVersion) -> None:
        reason = newest.verdict.sentence.rstrip(".") if newest.verdict else ""
        listed = ", ".join(map(str, model.versions[:VERSIONS_LISTED]))
        more = len(model.versions) - VERSIONS_LISTED
        super().__init__(
            f"every version of '{model.name}' is failing, and a failing version is served by its number only. "
            f"{newest.ref}: {reason}. Its versions: {listed}{f' and {more} earlier ones' if more > 0 else ''}. "
            f"Ask for {newest.ref}, set the alias '{PRODUCTION}' with an 'override' that says why, or train longer"
        )
        self.model, self.newest = model, newest


class VersionInUse(Exception):
    """An alias points at the version."""


class Registry:
    """All models. A version appears as a whole and never changes. Numbers of deleted versions are not used again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._aliases = Aliases(store)
        self._models: dict[str, tuple[_Stamp, Model]] = {}
        self._cards: OrderedDict[tuple[str, int], ModelVersion] = OrderedDict()
        self._digests: dict[tuple[str, int], str] = {}  # of the data sets that versions were trained on
        self._withdrawals = Withdrawals(store)
        self._floors = QualityFloors(store)
        self.remarks = VersionRemarks(store)
        self.changes = 0  # of versions, aliases, withdrawals and quality floors that were made through this object

    def publish(self, model: str, staged: Path, **card: Any) -> ModelVersion:
        """Publishes a staged folder as the model's next version. A job publishes once: later calls return that version.

        Args:
            model: name of the model.
            staged: holds ``generator.safetensors`` and other files of the version.
            card: the fields of `ModelVersion` except the number and the time. The images' origin is `GENERATED` unless
                it says otherwise.
        """
        labelling: Labelling | None = card.get("labelling")
        job = labelling.job if labelling else card["training_job"]
        number = 0
        while True:
            for version in self.versions(model):
                if version.published_by == job:
                    return version
            number = max(number, self._highest(model)) + 1
            fields: dict[str, Any] = {"digital_source_type": GENERATED, **card}
            published = ModelVersion(model=model, version=number, created_at=now(), **fields)
            (staged / "card.json").write_text(published.model_dump_json(indent=1))
            try:
                self.store.publish(staged, self.folder(published))
            except AlreadyPublished:  # another job published under this number in the meantime, or is about to
                continue
            return published

    def adopt(self, card: ModelVersion, staged: Path, results: Path) -> None:
        """Publishes a version of another site under its own name and number.

        Args:
            card: of the version; ``staged`` holds the same as ``card.json``.
            staged: the version's files.
            results: of the version; they are there before it can be served.

        Raises:
            NumberTaken: a version has the number, or had it and was deleted.
        """
        folder = self.folder(card)
        with self.store.locked(self._folder(card.model)):
            if folder.with_name(f"{card.version}.deleted").exists():
                raise NumberTaken(f"{card.ref} was deleted here, and its number is never used again")
            if folder.exists():
                raise NumberTaken(f"there is another {card.ref} here already")
            self.store.delete(results_folder(folder))  # of an import whose process was killed
            self.store.publish(results, results_folder(folder))
            try:
                self.store.publish(staged, folder)
            except AlreadyPublished:  # by a job, meanwhile
                self.store.delete(results_folder(folder))
                raise NumberTaken(f"a job has just published another {card.ref} here") from None
        self.changes += 1

    def resolve(self, reference: str) -> ModelVersion:
        """Finds the version for ``scratches``, ``scratches@2`` or ``scratches@production``.

        Raises:
            UnknownModel: there is none.
            OnlyFailing: of a bare name; it means no version.
        """
        match = _REFERENCE.match(reference)
        if not match:
            raise UnknownModel(f"'{reference}' is not a reference to a model; use NAME, NAME@VERSION or NAME@ALIAS")
        name, _, label = reference.partition("@")
        model = self.model(name)
        if label.isdecimal():
            return self._version(model, label)
        if label and label not in model.aliases:
            known = ", ".join(sorted(model.aliases)) or "none"
            raise UnknownModel(f"model '{name}' has no alias '{label}'; its aliases: {known}")
        if label:
            return self._version(model, str(model.aliases[label]))
        if model.serves is None:
            raise OnlyFailing(model, self._card(name, model.versions[0]))
        return self._version(model, str(model.serves))

    def version(self, model: str, number: str) -> ModelVersion:
        """Raises UnknownModel."""
        return self._version(self.model(model), number)

    def _version(self, model: Model, number: str) -> ModelVersion:
        if not re.fullmatch(r"[1-9]\d{0,8}", number) or int(number) not in model.versions:
            known = ", ".join(map(str, model.versions))
            raise UnknownModel(f"model '{model.name}' has no version '{number}'; its versions: {known}")
        return self._card(model.name, int(number))

    def versions(self, model: str) -> list[ModelVersion]:
        """Newest first; empty if the model is unknown."""
        return [self._card(model, number) for number in self._numbers(model)]

    def model(self, name: str) -> Model:
        """Raises UnknownModel."""
        found = self._model(name) if re.fullmatch(NAME_PATTERN, name) else None
        if found is None:
            known = ", ".join(model.name for model in self.models()[:20]) or "none yet"
            raise UnknownModel(f"there is no model '{name}'; models: {known}")
        return found

    def serves(self, name: str) -> int | None:
        """The version that a bare name means; None where it means none, or there is no such model."""
        found = self._model(name) if re.fullmatch(NAME_PATTERN, name) else None
        return found.serves if found else None

    def models(self) -> list[Model]:
        """Newest first."""
        folder = self.store.path("models")
        found = [model for each in children(folder) if (model := self._model(each.name))]
        return sorted(found, key=lambda model: (model.created_at, model.name), reverse=True)

    def weights(self, model: str, number: int) -> Place:
        """The safetensors file with the generator of an existing version."""
        return self._version_folder(model, number) / "generator.safetensors"

    def folder(self, version: ModelVersion) -> Place:
        """The folder with the version's files: card, generator, and discriminator (to train on from it)."""
        return self._version_folder(version.model, version.version)

    def trained_on(self, dataset_digest: str) -> list[ModelVersion]:
        """The versions that were trained on photographs with this digest, newest first by model."""
        found = []
        for model in self.models():
            for number in model.versions:
                key = (model.name, number)
                if key not in self._digests:
                    self._digests[key] = self._card(*key).dataset_digest
                if self._digests[key] == dataset_digest:
                    found.append(self._card(*key))
        return found

    def withdrawn(self, version: ModelVersion) -> Withdrawn:
        """The addresses of the version whose images must not be given out, those of its parent among them."""
        own = self._withdrawals.of(version)
        for each in self.ancestors(version):
            own = {**self._withdrawals.of(each), **own}
        return own

    def ancestors(self, version: ModelVersion) -> list[ModelVersion]:
        """The versions with the same pixels that a labelled version descends from, up to one that was deleted."""
        found: list[ModelVersion] = []
        while version.parent is not None:
            try:
                parent = self.resolve(version.parent)
            except UnknownModel:
                break
            if not _is_earlier(parent, version):
                break
            found.append(version := parent)
        return found

    def withdraw(self, version: ModelVersion, address: Address, reason: str) -> None:
        """Withdraws an address for ever: see `Withdrawals`."""
        self._withdrawals.withdraw(version, address, reason)
        self.changes += 1

    def remark(self, version: ModelVersion, change: Callable[[Remarks], Remarks]) -> None:
        """Changes the version's note and tags. Raises UnknownModel where it was deleted meanwhile."""
        try:
            self.remarks.change(version, change)
        except FileNotFoundError as error:
            raise UnknownModel(f"{version.ref} was deleted meanwhile") from error

    def quality_floor(self, version: ModelVersion) -> QualityFloor | None:
        """The lowest score of an image of the version that is given out; None: any."""
        return self._floors.of(version)

    def set_quality_floor(self, version: ModelVersion, floor: QualityFloor | None) -> None:
        """Sets the version's quality floor; None removes it."""
        self._floors.set(version, floor)
        self.changes += 1

    def aliases(self, model: str) -> dict[str, int]:
        return self._aliases.of(model)

    def set_alias(self, model: str, alias: str, number: int) -> Model:
        """Raises UnknownModel if the model has no such version."""
        self.version(model, str(number))
        self._aliases.set(model, alias, number)
        self.changes += 1
        return self.model(model)

    def delete_alias(self, model: str, alias: str) -> None:
        """Raises UnknownModel if there is no such alias."""
        self.model(model)
        if not self._aliases.delete(model, alias):
            known = ", ".join(sorted(self.aliases(model))) or "none"
            raise UnknownModel(f"model '{model}' has no alias '{alias}'; its aliases: {known}")
        self.changes += 1

    def delete_version(self, model: str, number: str) -> None:
        """Deletes a version and its results. Raises UnknownModel, or VersionInUse while an alias points at it."""
        version = self.version(model, number).version
        with self.store.locked(self._folder(model)):
            pointing = sorted(alias for alias, target in self.aliases(model).items() if target == version)
            if pointing:
                raise VersionInUse(f"alias {', '.join(pointing)} points at {model}@{number}; move or delete it first")
            folder = self._version_folder(model, version)
            self.store.write_bytes(folder.with_name(f"{version}.deleted"), b"")
            self.store.delete(folder)
            self.store.delete(results_folder(folder))
        self.changes += 1

    def _model(self, name: str) -> Model | None:
        """Reads the model; None if it has no version. Keeps what it read while the stamp stays the same."""
        stamp = self._stamp(name)
        if (kept := self._models.get(name)) and kept[0] == stamp:
            return kept[1]
        begun = time.time_ns()
        numbers = self._numbers(name)
        if not numbers:
            self._models.pop(name, None)
            return None
        created_at = self._card(name, numbers[-1]).created_at
        aliases = self.aliases(name)
        serves = aliases.get(PRODUCTION) or next((each for each in numbers if not self._card(name, each).failing), None)
        model = Model(name=name, versions=numbers, aliases=aliases, serves=serves, created_at=created_at)
        if begun - max((each.changed_ns for each in stamp if each), default=0) > SETTLED_NANOSECONDS:
            self._models[name] = (stamp, model)
        return model

    def _stamp(self, name: str) -> "_Stamp":
        """A value that changes with the model's versions and aliases."""
        return self.store.stamp("models", name, "versions"), self.store.stamp("models", name, "aliases.json")

    def _card(self, model: str, number: int) -> ModelVersion:
        """A version's card. Cards never change; the last `CARDS_KEPT` are kept in memory."""
        key = (model, number)
        card = self._cards.get(key)
        if card is None:
            path = self._version_folder(model, number) / "card.json"
            card = self._cards[key] = ModelVersion.model_validate_json(path.read_bytes())
            while len(self._cards) > CARDS_KEPT:
                self._cards.popitem(last=False)
        return card

    def _numbers(self, model: str) -> list[int]:
        folder = self._folder(model) / "versions"
        names = [entry.name for entry in children(folder)]
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def _highest(self, model: str) -> int:
        folder = self._folder(model) / "versions"
        names = [entry.name for entry in children(folder)]
        return max((int(name.removesuffix(".deleted")) for name in names if name[0] != "."), default=0)

    def _folder(self, model: str) -> Place:
        return self.store.path("models", model)

    def _version_folder(self, model: str, number: int) -> Place:
        return self._folder(model) / "versions" / str(number)


def _is_earlier(parent: ModelVersion, version: ModelVersion) -> bool:
    """Whether a version can be the parent of another; a card that was made by hand may say anything."""
    return parent.model == version.model and parent.version < version.version
