"""Commands that submit jobs about versions: evaluations, labels, comparisons and compositions."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.client_commands import Reference
from flawsmith.cli.job_commands import fetch
from flawsmith.cli.options import Json, Key, Url, calling, corners, file_named, shares, span
from flawsmith.cli.output import print_json, print_table, progress_bar

if TYPE_CHECKING:
    from flawsmith.client import Client, Job

app = typer.Typer()

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="wait until the job has ended")]


class Labels(StrEnum):
    """What images can come with."""

    MASK = "mask"
    BOX = "box"


class Blend(StrEnum):
    """How a defect joins a photograph."""

    AUTO = "auto"
    ALPHA = "alpha"
    POISSON = "poisson"


class Source(StrEnum):
    """Where the defects of a composition come from."""

    GENERATED = "generated"
    REAL = "real"


@app.command()
def label(
    version: Reference,
    masks: Annotated[
        Path | None,
        typer.Option(help="folder with TYPE/SEED_mask.png, white where the defect is; default: learn of annotations"),
    ] = None,
    labels: Annotated[Labels | None, typer.Option(help="mask or box; default: masks where there are some")] = None,
    wait: Wait = True,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Teach a version where the defect is: its next version has the same images, with masks or boxes."""
    with calling(url, key) as client:
        job = client.label(version, masks, labels=labels.value if labels else None)
        job = _ended(client, job, "learning", wait)
    return print_json(dict(job.raw)) if as_json else print(job.produced or job.id)


@app.command()
def evaluate(
    version: Reference,
    dataset: Annotated[str, typer.Argument(help="photographs to test a classifier on: a dataset's name or id")],
    per_type: Annotated[list[int] | None, typer.Option(help="real photographs of each type; several times")] = None,
    ratio: Annotated[list[float] | None, typer.Option(help="synthetic images for each; several times")] = None,
    repeats: Annotated[int | None, typer.Option(help="of each classifier")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="end after so many seconds")] = None,
    wait: Wait = True,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Say whether a version's images help a classifier."""
    with calling(url, key) as client:
        job = client.evaluate(
            version, dataset, per_type=per_type, ratios=ratio, repeats=repeats, max_seconds=max_seconds
        )
        job = _ended(client, job, "evaluating", wait)
    if as_json or not job.result:
        return print_json(dict(job.raw)) if as_json else print(job.id)
    best = job.result.get("recommended_ratio")
    return print(f"{job.result['verdict']}" + (f"; recommended ratio: {best:g}" if best is not None else ""))


@app.command()
def compare(
    version: Reference,
    other: Annotated[str, typer.Argument(help="another version of the same model, such as steel@1")],
    dataset: Annotated[str | None, typer.Option(help="to judge both on; default: that of the newer version")] = None,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Say which of two versions is nearer to photographs; both are judged on the same ones.

    The table is over all types; --json has each type by itself, with intervals.
    """
    with calling(url, key) as client, progress_bar("comparing") as show:
        found = client.compare(version, other, dataset=dataset, on_progress=show)
    if as_json:
        return print_json(dict(found.raw))
    print(found.sentence)
    for name, verdict in zip(found.versions, found.verdicts, strict=True):
        print(f"{name}: {verdict.state}. {verdict.sentence}")
    types = {each["type"] for each in found.measures if each["type"]}
    rows = [
        (each["name"], *(_figure(value) for value in (*each["values"], each["photographs"])))
        for each in found.measures
        if each["type"] is None or len(types) == 1
    ]
    return print_table(("measure", *found.versions, "photographs"), rows)


@app.command()
def compose(
    background: Annotated[str, typer.Argument(help="a dataset with clean photographs, or the file of one")],
    count: Annotated[int, typer.Option(min=1, help="images")],
    model: Annotated[str | None, typer.Option(help="whose defects are placed, such as steel@2")] = None,
    defects: Annotated[str | None, typer.Option(help="a dataset with annotated defects, in place of a model")] = None,
    source: Annotated[Source | None, typer.Option(help="default: generated where the version has masks")] = None,
    per_image: Annotated[str, typer.Option(help="defects on an image, such as 1..3")] = "",
    defect_type: Annotated[
        list[str] | None, typer.Option("--type", help="several times for several; default: all")
    ] = None,
    region: Annotated[str, typer.Option(help="where they may lie: a PNG, white there, or corners 'X,Y X,Y X,Y'")] = "",
    blend: Annotated[Blend, typer.Option(help="how they join the photograph")] = Blend.AUTO,
    split: Annotated[str, typer.Option(help="shares, such as train=0.8,val=0.2")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="of the first image")] = None,
    out: Annotated[Path, typer.Option(help="file of the archive, or a folder for it")] = Path(),
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait for the archive and fetch it")] = True,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Place defects on clean photographs, with masks and boxes, in one archive, and fetch it."""
    options: dict[str, Any] = {
        "model": model,
        "defects": defects,
        "source": source.value if source else None,
        "per_image": span(per_image),
        "types": defect_type,
        "region": (file_named(region) or corners(region)) if region else None,
        "blend": blend.value,
        "split": shares(split),
        "seed": seed,
    }
    with calling(url, key) as client:
        job = client.compose(file_named(background) or background, count, **options)
        print(f"composition {job.id}; `flawsmith download {job.id}` continues here", file=sys.stderr)
        if not wait:
            return print_json(dict(job.raw)) if as_json else print(job.id)
        job = _ended(client, job, "composing", wait)
        path = fetch(client, job.id, out)
    return print_json({**job.raw, "file": str(path)}) if as_json else print(path)


def _figure(value: float) -> str:
    return f"{round(value, 4):.3g}"


def _ended(client: "Client", job: "Job", doing: str, wait: bool) -> "Job":
    """The job once it has ended; as it is, unless it shall be waited for."""
    if not wait:
        return job
    with progress_bar(doing) as show:
        return client.wait(job, on_progress=show)
