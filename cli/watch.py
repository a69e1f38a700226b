"""Shows a job in the terminal: a progress bar with state, rate, time left and losses."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from flawsmith.cli.output import counted, print_json
from flawsmith.client import Client, Event, Job
from flawsmith.client.records import Progress as JobProgress


def watch_job(client: Client, job_id: str) -> Job:
    """Shows the job until it ends; returns its last record. A restart of the service does not end it.

    Raises:
        Problem: there is no such job, or the key's scope does not allow to see it.
        NoAnswer: the service did not answer at all, or not for the client's deadline later on.
    """
    job = client.job(job_id)
    console = Console()
    columns = [
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[steps]}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[losses]}"),
    ]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("queued", total=1.0, steps="", rate="", losses="")
        _show(bar, task, job)
        client.retry_policy.on_retry = lambda *_: bar.update(task, description="no answer")
        if not job.ended:
            job = client.wait(job, on_event=lambda event: _show_event(bar, task, job, event), check=False)
        _show(bar, task, job)
    for line in (f"{job.state}: {_outcome(job)}", *_verdict(job)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return job


def print_events(client: Client, job_id: str) -> Job:
    """Prints each event of a job as a line of JSON, and its record at the end. Raises as `watch_job`."""
    job = client.wait(
        job_id, check=False, on_event=lambda each: print_json({"id": each.id, "event": each.name, "data": each.data})
    )
    print_json(dict(job.raw))
    return job


def _show_event(bar: Progress, task: TaskID, job: Job, event: Event) -> None:
    if event.name == "state":
        bar.update(task, description=event.data["state"])
    if progress := event.progress:
        bar.update(
            task,
            description="running",
            completed=_share(job, progress),
            steps=_steps(job, progress),
            rate=_rate(progress),
            losses=_losses(event.data.get("losses", {})),
        )


def _show(bar: Progress, task: TaskID, job: Job) -> None:
    progress = job.progress
    bar.update(
        task,
        description=job.state,
        completed=1.0 if job.state == "succeeded" else _share(job, progress),
        steps=_steps(job, progress),
        rate=_rate(progress) if not job.ended else "",
        losses=_losses(job.losses),
    )


def _share(job: Job, progress: JobProgress) -> float:
    """How far the job is, 0 to 1: by its steps, or by the time after which it ends."""
    by_steps = progress.step / max(1, progress.total_steps)
    seconds = float(job.config.get("max_seconds") or 0)
    if not seconds or progress.eta_seconds is None or not progress.step:
        return by_steps
    return max(by_steps, 1 - progress.eta_seconds / seconds)


def _steps(job: Job, progress: JobProgress) -> str:
    """A job that ends after a time seldom makes all the steps that it might."""
    if job.config.get("max_seconds"):
        return counted(progress.step, "step")
    return f"{progress.step}/{progress.total_steps}"


def _outcome(job: Job) -> str:
    if job.produced:
        early = {"max_seconds": "; stopped after max_seconds", "patience": "; stopped, as it no longer improved"}
        return job.produced + early.get(job.stop_reason or "", "")
    return job.error or job.id


def _verdict(job: Job) -> list[str]:
    """What the version is worth, and the name that serves it; nothing for a job without a version."""
    if not job.produced or job.kind != "training":
        return []
    verdict, name = job.verdict, job.model
    said = []
    if verdict:
        others = [each for each in verdict.reasons if each.lower() not in verdict.sentence.lower()]
        said = [f"verdict: {verdict.state}. {verdict.sentence}", *others]
    if job.served_by_name:
        return [*said, f"'{name}' means {job.produced} now"]
    return [*said, f"'{name}' does not mean {job.produced}; ask for it by its number"]


def _rate(progress: JobProgress) -> str:
    if progress.images_per_second is None:
        return ""
    left = int(progress.eta_seconds or 0)
    hours, minutes, seconds = left // 3600, left // 60 % 60, left % 60
    clock = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{progress.images_per_second:.0f} images/s, {clock} left"


def _losses(losses: dict[str, float]) -> str:
    """The losses in short: D for the discriminator, G for the generator."""
    return " ".join(f"{name[0].upper()} {losses[name]:.2f}" for name in losses if name.endswith("_loss"))
