"""Calls about models: versions, aliases, reports, evaluations, exports, compositions and weights."""

import base64
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from flawsmith.client.commands import Flow, Request, work
from flawsmith.client.datasets import INGEST_SECONDS, OnBytes
from flawsmith.client.errors import NotFound
from flawsmith.client.jobs import noted
from flawsmith.client.operations import Calls, given, iterates, new_key, operation, part, record
from flawsmith.client.pages import pages
from flawsmith.client.records import Dataset, Job, Model, Version
from flawsmith.client.retries import repeated
from flawsmith.client.uploads import counted

Layout = Literal["imagefolder", "mvtec", "coco", "yolo", "voc"]
Shares = Mapping[str, float]
Attributes = Mapping[str, tuple[float, float]]
Corners = Sequence[tuple[float, float]]

PRODUCTION = "production"


class ModelCalls(Calls):
    """Trained models. A reference is ``steel@2``, ``steel@production`` or ``steel``, or the record of a version."""

    @iterates(Model)
    def models(self, *, tags: Sequence[str] = (), search: str | None = None) -> Flow[None]:
        """All models, newest first; with ``tags`` or ``search``, those with a version that fits, as `versions`."""
        yield from pages(self._get, "/models", Model.read, tag=",".join(tags) or None, search=search)

    @iterates(Version)
    def versions(self, name: str, *, tags: Sequence[str] = (), search: str | None = None) -> Flow[None]:
        """The versions of a model, newest first: those with all of these tags, and each of the words of ``search``."""
        path = f"/models/{part(name)}/versions"
        yield from pages(self._get, path, Version.read, tag=",".join(tags) or None, search=search)

    @operation
    def model(self, name: str) -> Flow[Model]:
        """One model with its versions and aliases. Raises NotFound."""
        return record(Model.read, (yield from self._get(f"/models/{part(name)}")))

    @operation
    def version(self, reference: str | Version) -> Flow[Version]:
        """The version that a reference means. Raises NotFound."""
        return record(Version.read, (yield from self._get((yield from version_path(self, reference)))))

    @operation
    def numbered(self, reference: str | Version) -> Flow[tuple[str, int]]:
        """Name and number of the version that a reference means now. Raises NotFound."""
        return (yield from numbered(self, reference, served=False))

    @operation
    def note_version(
        self,
        reference: str | Version,
        note: str | None = None,
        *,
        tags: Sequence[str] | None = None,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
    ) -> Flow[Version]:
        """Changes the note and the tags of a version, as `note_job` those of a job."""
        path, body = (yield from version_path(self, reference)), noted(note, tags, add_tags, remove_tags)
        return record(Version.read, (yield from self._change("PATCH", path, body)))

    @operation
    def delete_version(self, reference: str | Version) -> Flow[None]:
        """Deletes a version that no alias points at. Raises Conflict."""
        yield from self._change("DELETE", (yield from version_path(self, reference)))

    @operation
    def import_version(
        self, path: str | PathLike[str], *, on_progress: OnBytes | None = None, idempotency_key: str | None = None
    ) -> Flow[Version]:
        """Publishes the version of a bundle under its own name and number. Sent again it is the same version.

        Args:
            path: of the file that `bundle` wrote at another service.
            on_progress: is told the bytes sent, and all bytes.

        Raises:
            Conflict: another version has, or had, this name and number.
            Invalid: the file is no bundle, or was changed.
            OSError: it cannot be read.
        """
        with Path(path).open("rb") as file:
            request = Request(
                method="POST",
                path="/models/import",
                files=counted([("bundle", Path(path).name, file)], on_progress),
                headers={"Idempotency-Key": idempotency_key or new_key()},
                silence=INGEST_SECONDS,
            )
            return record(Version.read, (yield from repeated(self.retry_policy, request)))

    @operation
    def promote(self, reference: str | Version, alias: str = PRODUCTION, *, override: str | None = None) -> Flow[Model]:
        """Points an alias at a version.

        Args:
            override: why a version is right for `production` whatever speaks against it; the service keeps it.

        Raises:
            NotForProduction: the version is failing, or hurts a classifier; ``reasons`` says so in words.
        """
        name, number = yield from numbered(self, reference)
        body = given(version=number, override=override)
        return record(Model.read, (yield from self._change("PUT", f"/models/{part(name)}/aliases/{part(alias)}", body)))

    @operation
    def delete_alias(self, name: str, alias: str) -> Flow[None]:
        """Deletes an alias; the version stays."""
        yield from self._change("DELETE", f"/models/{part(name)}/aliases/{part(alias)}")

    @operation
    def report(self, reference: str | Version) -> Flow[dict[str, Any]]:
        """The quality report: verdict, measures, copies, coverage. Raises NotFound with the reason if there is none."""
        answer = yield from self._get(f"{(yield from version_path(self, reference))}/report")
        return record(dict, answer)

    @operation
    def report_page(self, reference: str | Version) -> Flow[bytes]:
        """The quality report as one page of HTML."""
        return (yield from self._get(f"{(yield from version_path(self, reference))}/report.html")).content

    @operation
    def make_report(self, reference: str | Version) -> Flow[Job]:
        """Makes the report again, or the first time."""
        path = f"{(yield from version_path(self, reference))}/report"
        return record(Job.read, (yield from self._change("POST", path)))

    @operation
    def evaluate(
        self,
        reference: str | Version,
        dataset: str | Dataset,
        *,
        per_type: Sequence[int] | None = None,
        ratios: Sequence[float] | None = None,
        repeats: int | None = None,
        retrain: bool | None = None,
        max_seconds: float | None = None,
        seed: int | None = None,
        priority: int | None = None,
        webhook: Mapping[str, Any] | None = None,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Submits an evaluation: whether the version's images help a classifier (docs/uplift.md)."""
        body = given(
            dataset=dataset.id if isinstance(dataset, Dataset) else dataset,
            per_type=per_type and list(per_type),
            ratios=ratios and list(ratios),
            repeats=repeats,
            retrain=retrain,
            max_seconds=max_seconds,
            seed=seed,
            priority=priority,
            webhook=webhook,
            note=note,
            tags=tags and list(tags),
        )
        path = f"{(yield from version_path(self, reference))}/evaluations"
        return record(Job.read, (yield from self._change("POST", path, body, idempotency_key)))

    @iterates(Job)
    def evaluations(self, reference: str | Version) -> Flow[None]:
        """The version's evaluations, newest first."""
        path = yield from version_path(self, reference)
        yield from pages(self._get, f"{path}/evaluations", Job.read)

    @operation
    def export(
        self,
        model: str | Version | None = None,
        *,
        composition: str | Job | None = None,
        count: int | None = None,
        per_type: Mapping[str, int] | None = None,
        layout: Layout | None = None,
        split: Shares | None = None,
        max_similarity: float | None = None,
        attributes: Attributes | None = None,
        seed: int | None = None,
        priority: int | None = None,
        webhook: Mapping[str, Any] | None = None,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Submits an export of a version's images, or of a composition's, into one archive; `download` fetches it."""
        body = given(
            model=model.ref if isinstance(model, Version) else model,
            composition=composition.id if isinstance(composition, Job) else composition,
            count=count,
            per_type=per_type,
            layout=layout,
            split=split,
            max_similarity=max_similarity,
            attributes=attributes and {name: list(bounds) for name, bounds in attributes.items()},
            seed=seed,
            priority=priority,
            webhook=webhook,
            note=note,
            tags=tags and list(tags),
        )
        return record(Job.read, (yield from self._change("POST", "/exports", body, idempotency_key)))

    @operation
    def compose(
        self,
        background: str | Dataset | PathLike[str],
        count: int,
        *,
        model: str | Version | None = None,
        defects: str | Dataset | None = None,
        per_image: tuple[int, int] | None = None,
        types: Sequence[str] | None = None,
        region: Corners | PathLike[str] | None = None,
        source: Literal["real", "generated"] | None = None,
        blend: Literal["auto", "alpha", "poisson"] | None = None,
        split: Shares | None = None,
        seed: int | None = None,
        priority: int | None = None,
        webhook: Mapping[str, Any] | None = None,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Submits a job that places defects on clean photographs (docs/compositions.md); `download` fetches the zip.

        Args:
            background: a dataset with clean photographs, its id or name; or a `Path`: the file of one.
            region: where defects may lie: corners in pixels, or a `Path`: a PNG that is white there.

        Raises:
            OSError: a file cannot be read.
        """
        body = given(
            background=(yield from work(lambda: _named_or_read(background))),
            count=count,
            model=model.ref if isinstance(model, Version) else model,
            defects=defects.id if isinstance(defects, Dataset) else defects,
            per_image=per_image and list(per_image),
            types=types and list(types),
            region=(yield from work(lambda: _read(region) if isinstance(region, PathLike) else region)),
            source=source,
            blend=blend,
            split=split,
            seed=seed,
            priority=priority,
            webhook=webhook,
            note=note,
            tags=tags and list(tags),
        )
        return record(Job.read, (yield from self._change("POST", "/compositions", body, idempotency_key)))


def _named_or_read(background: str | Dataset | PathLike[str]) -> str:
    if isinstance(background, Dataset):
        return background.id
    return background if isinstance(background, str) else _read(background)


def _read(path: PathLike[str]) -> str:
    """The file in base64. Raises OSError."""
    return base64.b64encode(Path(path).read_bytes()).decode()


def numbered(calls: Calls, reference: str | Version, *, served: bool = True) -> Flow[tuple[str, int]]:
    """Name and number of the version that a reference means.

    Args:
        served: False: a bare name of which the service serves no version means its newest.

    Raises:
        NotFound: there is no such model, alias or version that the name could mean.
    """
    if isinstance(reference, Version):
        return reference.model, reference.version
    name, at, label = reference.partition("@")
    if label.isdecimal():
        return name, int(label)
    model = record(Model.read, (yield from calls._get(f"/models/{part(name)}")))
    if label in model.aliases:
        return name, model.aliases[label]
    if at:
        known = ", ".join(model.aliases) or "none"
        raise NotFound(404, {"detail": f"model '{name}' has no alias '{label}'; its aliases: {known}"})
    number = model.serves if model.serves or served else next(iter(model.versions), None)
    if number is None:
        numbers = ", ".join(f"{name}@{each}" for each in model.versions) or "none"
        detail = f"'{name}' means no version, as each is failing; ask for one by its number: {numbers}"
        raise NotFound(404, {"detail": detail})
    return name, number


def version_path(calls: Calls, reference: str | Version) -> Flow[str]:
    """The path of the version that a reference means; of a bare name that serves none, the newest."""
    name, number = yield from numbered(calls, reference, served=False)
    return f"/models/{part(name)}/versions/{number}"
