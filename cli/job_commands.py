"""Commands about the jobs of a running service: training, exports, and jobs of every kind."""

import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.options import Json, Key, TagOption, Url, calling, shares, values
from flawsmith.cli.output import print_json, print_table, progress_bar

if TYPE_CHECKING:
    from flawsmith.client import Client, Job

app = typer.Typer()

JobId = Annotated[str, typer.Argument(help="a job's id, such as job-0661…")]


class Kind(StrEnum):
    """The kinds of job."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    EXPORT = "export"
    COMPOSITION = "composition"
    REPORT = "report"
    LABELLING = "labelling"
    COMPARISON = "comparison"


class Layout(StrEnum):
    """The layouts of an export's archive."""

    IMAGEFOLDER = "imagefolder"
    MVTEC = "mvtec"
    COCO = "coco"
    YOLO = "yolo"
    VOC = "voc"


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help="a dataset's name or id")],
    model: Annotated[str | None, typer.Option(help="whose next version it makes; default: the dataset's name")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="end after so many seconds of training")] = None,
    steps: Annotated[int | None, typer.Option(help="updates")] = None,
    epochs: Annotated[int | None, typer.Option(help="passes over the dataset, in place of steps")] = None,
    resolution: Annotated[int | None, typer.Option(help="side of the images, in pixels")] = None,
    preset: Annotated[str | None, typer.Option(help="the recipe: fewshot or dcgan")] = None,
    init_from: Annotated[str | None, typer.Option(help="start from this version")] = None,
    patience: Annotated[int | None, typer.Option(help="end after so many evaluations without a better one")] = None,
    seed: Annotated[int | None, typer.Option(help="of everything random")] = None,
    priority: Annotated[int | None, typer.Option(help="0 to 9; higher ones train first")] = None,
    devices: Annotated[int | None, typer.Option(help="GPUs of one machine that share each step, at most")] = None,
    override: Annotated[list[str] | None, typer.Option("--set", help="a value of the preset: NAME=VALUE")] = None,
    note: Annotated[str | None, typer.Option(help="a text for people, on the job and on its version")] = None,
    tag: TagOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what the job would be and take")] = False,
    watch_it: Annotated[bool, typer.Option("--watch", help="follow the job until it ends")] = False,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Submit a training job; print its id."""

    options: dict[str, Any] = {
        "max_seconds": max_seconds,
        "steps": steps,
        "epochs": epochs,
        "resolution": resolution,
        "preset": preset,
        "init_from": init_from,
        "patience": patience,
        "seed": seed,
        "priority": priority,
        "devices": devices,
        "overrides": values(override or []),
        "note": note,
        "tags": tag,
    }
    with calling(url, key) as client:
        name = model or client.dataset(dataset).name
        if dry_run:
            plan = client.plan(dataset, name, **options)
            if as_json:
                return print_json(dict(plan.raw))
            lasts = plan.estimate.get("seconds")
            bound = "at most " if max_seconds else ""
            print(f"{plan.preset}, {plan.config.get('resolution')} px, {bound}{plan.config.get('total_steps')} steps")
            print(*(f"note: {note}" for note in plan.notes), sep="\n")
            return print(f"about {lasts:.0f} s" if isinstance(lasts, int | float) else "no estimate of its duration")
        job = client.train(dataset, name, **options)
        print(*(f"note: {note}" for note in job.notes), sep="\n", file=sys.stderr)
        if watch_it:
            return _follow(client, job.id, as_json)
    return print_json(dict(job.raw)) if as_json else print(job.id)


@app.command()
def watch(job: JobId, url: Url = "", key: Key = "", as_json: Json = False) -> None:
    """Follow a job in the terminal until it ends; --json prints its events. Status 1 if it has no result."""
    with calling(url, key) as client:
        _follow(client, job, as_json)


@app.command()
def jobs(
    job: Annotated[str | None, typer.Argument(help="show this job")] = None,
    kind: Annotated[Kind, typer.Option(help="of the listed jobs")] = Kind.TRAINING,
    state: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled")] = None,
    tag: TagOption = None,
    search: Annotated[str | None, typer.Option(help="words in note, tags or names")] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many, the newest")] = 20,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """List the newest jobs, or show one."""
    with calling(url, key) as client:
        listed = client.jobs(kind.value, state=state, tags=tag or (), search=search)
        found = [client.job(job)] if job else list(islice(listed, limit))
    if as_json:
        return print_json(found[0].raw if job else [each.raw for each in found])
    rows = [
        (each.id, each.state, _progress(each), _subject(each), _outcome(each), ", ".join(each.tags) or "-")
        for each in found
    ]
    return print_table(("job", "state", "steps", "of", "outcome", "tags"), rows)


@app.command()
def history(job: JobId, url: Url = "", key: Key = "", as_json: Json = False) -> None:
    """Print the losses and signals of a training job as CSV, a line for each recorded step; or as JSON."""
    with calling(url, key) as client:
        if as_json:
            return print_json(client.history(job))
        sys.stdout.write(client.history_table(job).decode())
    return None


@app.command()
def cancel(job: JobId, url: Url = "", key: Key = "", as_json: Json = False) -> None:
    """End a job; it keeps its checkpoints."""
    _change("cancel", job, url, key, as_json)


@app.command()
def resume(job: JobId, url: Url = "", key: Key = "", as_json: Json = False) -> None:
    """Continue a failed or cancelled job from its last checkpoint."""
    _change("resume", job, url, key, as_json)


@app.command()
def export(
    model: Annotated[str | None, typer.Argument(help="such as steel@2; left out with --composition")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="images, of all types in turn")] = None,
    composition: Annotated[str | None, typer.Option(help="a composition job, in place of a model")] = None,
    layout: Annotated[Layout, typer.Option(help="of the archive")] = Layout.IMAGEFOLDER,
    split: Annotated[str, typer.Option(help="shares, such as train=0.8,val=0.2")] = "",
    max_similarity: Annotated[float | None, typer.Option(help="to a photograph, at most")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="the first seed")] = None,
    out: Annotated[Path, typer.Option(help="file of the archive, or a folder for it")] = Path(),
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="wait for the archive and fetch it")] = True,
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Write a version's images, or those of a composition, into one archive, and fetch it."""

    parts = shares(split)
    with calling(url, key) as client:
        job = client.export(
            model,
            composition=composition,
            count=count,
            layout=layout.value,
            split=parts,
            max_similarity=max_similarity,
            seed=seed,
        )
        print(f"export {job.id}; `flawsmith download {job.id}` continues here", file=sys.stderr)
        if not wait:
            return print_json(dict(job.raw)) if as_json else print(job.id)
        with progress_bar("exporting") as show:
            job = client.wait(job, on_progress=show)
        path = fetch(client, job.id, out)
    return print_json({**job.raw, "file": str(path)}) if as_json else print(path)


@app.command()
def download(
    job: JobId,
    out: Annotated[Path, typer.Option(help="file of the archive, or a folder for it")] = Path(),
    url: Url = "",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Fetch the archive of an export or a composition; a broken download goes on where it broke."""
    with calling(url, key) as client:
        path = fetch(client, job, out)
    return print_json({"file": str(path)}) if as_json else print(path)


def _follow(client: "Client", job: str, as_json: bool) -> None:
    """Shows a job until its end. Raises typer.Exit with 1 if it has no result."""
    from flawsmith.cli.watch import print_events, watch_job

    ended = print_events(client, job) if as_json else watch_job(client, job)
    raise typer.Exit(0 if ended.state == "succeeded" else 1)


def fetch(client: "Client", job: str, out: Path) -> Path:
    """Writes the archive of a job, with a progress bar."""
    with progress_bar("downloading", of_bytes=True) as show:
        return client.download(job, out, on_progress=show)


def _change(action: str, job: str, url: str, key: str, as_json: bool) -> None:

    with calling(url, key) as client:
        changed = client.cancel(job) if action == "cancel" else client.resume(job)
    return print_json(dict(changed.raw)) if as_json else print(f"{changed.id}: {changed.state}")


def _progress(job: "Job") -> str:
    return f"{job.progress.step}/{job.progress.total_steps}"


def _subject(job: "Job") -> str:
    return job.model or job.version or job.dataset or "-"


def _outcome(job: "Job") -> str:
    verdict = f" ({job.verdict.state})" if job.verdict else ""
    return f"{job.produced}{verdict}" if job.produced else job.error or "-"
