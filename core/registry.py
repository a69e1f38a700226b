"""Published model versions and their aliases, in the artifact store."""

import hashlib
import re
from pathlib import Path
from typing import Any

from core.artifacts import AlreadyPublished, ArtifactStore
from core.records import NAME_PATTERN, Model, ModelVersion, now

PRODUCTION = "production"  # the alias that a model's bare name means, where it is set
_REFERENCE = re.compile(NAME_PATTERN[:-1] + r"(?:@([A-Za-z0-9_.-]{1,64}))?$")


class UnknownModel(Exception):
    """There is no model, version or alias of that name."""


class VersionInUse(Exception):
    """An alias points at the version."""


class Registry:
    """All models. A version appears whole and never changes; the number of a deleted one is not used again."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store

    def publish(self, model: str, staged: Path, **card: Any) -> ModelVersion:
        """Makes a staged folder the model's next version, or gives the one that this job published before.

        The folder holds ``generator.safetensors``, and whatever else belongs to the version. ``card`` holds the fields
        of `ModelVersion` but for the version's number, the weights' digest and the time.
        """
        for version in self.versions(model):
            if version.training_job == card["training_job"]:
                return version
        with (staged / "generator.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        while True:
            number = self._highest(model) + 1
            published = ModelVersion(model=model, version=number, weights_sha256=digest, created_at=now(), **card)
            (staged / "card.json").write_text(published.model_dump_json(indent=1))
            try:
                self.store.publish(staged, self.folder(published))
            except AlreadyPublished:  # another job took the number at the same moment
                continue
            return published

    def resolve(self, reference: str) -> ModelVersion:
        """``scratches``, ``scratches@2`` or ``scratches@production`` -> the version. Raises UnknownModel."""
        match = _REFERENCE.match(reference)
        if not match:
            raise UnknownModel(f"'{reference}' is no model; a reference is NAME, NAME@VERSION or NAME@ALIAS")
        name, _, label = reference.partition("@")
        if label.isdecimal():
            return self.version(name, label)
        aliases = self.aliases(name)
        if label and label not in aliases:
            self.model(name)
            known = ", ".join(sorted(aliases)) or "none"
            raise UnknownModel(f"model '{name}' has no alias '{label}'; its aliases: {known}")
        if not label and PRODUCTION not in aliases:
            return self.version(name, str(self.model(name).versions[0]))
        return self.version(name, str(aliases[label or PRODUCTION]))

    def version(self, model: str, number: str) -> ModelVersion:
        """Raises UnknownModel."""
        if re.fullmatch(NAME_PATTERN, model) and re.fullmatch(r"[1-9]\d{0,8}", number):
            card = self._version_folder(model, int(number)) / "card.json"
            if card.exists():
                return ModelVersion.model_validate_json(card.read_bytes())
        known = ", ".join(map(str, self.model(model).versions))
        raise UnknownModel(f"model '{model}' has no version '{number}'; its versions: {known}")

    def versions(self, model: str) -> list[ModelVersion]:
        """Newest first; none where the model is unknown."""
        cards = (self._version_folder(model, number) / "card.json" for number in self._numbers(model))
        return [ModelVersion.model_validate_json(card.read_bytes()) for card in cards]

    def model(self, name: str) -> Model:
        """Raises UnknownModel."""
        numbers = self._numbers(name) if re.fullmatch(NAME_PATTERN, name) else []
        if not numbers:
            known = ", ".join(self._names()[:20]) or "none yet"
            raise UnknownModel(f"there is no model '{name}'; models: {known}")
        oldest = self.version(name, str(numbers[-1]))
        return Model(name=name, versions=numbers, aliases=self.aliases(name), created_at=oldest.created_at)

    def models(self) -> list[Model]:
        """Newest first."""
        found = [self.model(name) for name in self._names()]
        return sorted(found, key=lambda model: (model.created_at, model.name), reverse=True)

    def weights(self, model: str, number: int) -> Path:
        """The generator's safetensors file of a version that exists."""
        return self._version_folder(model, number) / "generator.safetensors"

    def folder(self, version: ModelVersion) -> Path:
        """Where the version's files are: the card, the generator, and the discriminator for training on."""
        return self._version_folder(version.model, version.version)

    def aliases(self, model: str) -> dict[str, int]:
        path = self._folder(model) / "aliases.json"
        return self.store.read_json(path) if path.exists() else {}

    def set_alias(self, model: str, alias: str, number: int) -> Model:
        """Raises UnknownModel where the model has no such version."""
        self.version(model, str(number))
        with self.store.locked(self._folder(model)):
            self.store.write_json(self._folder(model) / "aliases.json", {**self.aliases(model), alias: number})
        return self.model(model)

    def delete_alias(self, model: str, alias: str) -> None:
        """Raises UnknownModel where there is no such alias."""
        self.model(model)
        with self.store.locked(self._folder(model)):
            aliases = self.aliases(model)
            if alias not in aliases:
                known = ", ".join(sorted(aliases)) or "none"
                raise UnknownModel(f"model '{model}' has no alias '{alias}'; its aliases: {known}")
            del aliases[alias]
            self.store.write_json(self._folder(model) / "aliases.json", aliases)

    def delete_version(self, model: str, number: str) -> None:
        """Raises UnknownModel, or VersionInUse while an alias points at it."""
        version = self.version(model, number).version
        with self.store.locked(self._folder(model)):
            pointing = sorted(alias for alias, target in self.aliases(model).items() if target == version)
            if pointing:
                raise VersionInUse(f"alias {', '.join(pointing)} points at {model}@{number}; move or delete it first")
            folder = self._version_folder(model, version)
            self.store.write_bytes(folder.with_name(f"{version}.deleted"), b"")
            self.store.delete(folder)

    def _names(self) -> list[str]:
        folder = self.store.path("models")
        names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
        return sorted(name for name in names if self._numbers(name))

    def _numbers(self, model: str) -> list[int]:
        folder = self._folder(model) / "versions"
        names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def _highest(self, model: str) -> int:
        folder = self._folder(model) / "versions"
        names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
        return max((int(name.removesuffix(".deleted")) for name in names if name[0] != "."), default=0)

    def _folder(self, model: str) -> Path:
        return self.store.path("models", model)

    def _version_folder(self, model: str, number: int) -> Path:
        return self._folder(model) / "versions" / str(number)
