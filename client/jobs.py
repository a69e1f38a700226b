"""Calls about jobs of every kind: submit, follow, wait, cancel and resume."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict, Unpack

from flawsmith.client.commands import Event as RawEvent
from flawsmith.client.commands import Flow, Request, close, emit, open_stream, read, sleep
from flawsmith.client.errors import FlawsmithError, JobCancelled, JobFailed, NoAnswer, UnexpectedAnswer
from flawsmith.client.operations import Calls, given, iterates, operation, part, record
from flawsmith.client.pages import pages
from flawsmith.client.records import ENDED, Dataset, Event, Job, TrainingPlan
from flawsmith.client.retries import Retries

JobKind = Literal["training", "evaluation", "export", "composition", "report", "labelling", "comparison", "drift"]
PATHS: dict[str, str] = {
    "training": "/training-jobs",
    "evaluation": "/evaluations",
    "export": "/exports",
    "composition": "/compositions",
    "report": "/reports",
    "labelling": "/labellings",
    "comparison": "/comparisons",
    "drift": "/drift-checks",
}
SILENCE_SECONDS = 20.0  # of a stream of events, which has a sign of life every 5 s


class TrainingOptions(TypedDict):
    """What a training job may be told beside its dataset and model; docs/training.md explains each."""

    preset: NotRequired[str]
    resolution: NotRequired[int]
    epochs: NotRequired[int]
    steps: NotRequired[int]
    seed: NotRequired[int]
    overrides: NotRequired[Mapping[str, Any]]
    crop: NotRequired[Mapping[str, Any]]
    priority: NotRequired[int]
    max_seconds: NotRequired[float]
    patience: NotRequired[int]
    init_from: NotRequired[str]
    labels: NotRequired[Literal["mask", "none"]]
    start: NotRequired[Literal["prior", "nothing"]]
    devices: NotRequired[int]
    deterministic: NotRequired[bool]
    webhook: NotRequired[Mapping[str, Any]]
    note: NotRequired[str]
    tags: NotRequired[Sequence[str]]


class JobCalls(Calls):
    """Work that takes a while."""

    @operation
    def train(
        self,
        dataset: str | Dataset,
        model: str,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[TrainingOptions],
    ) -> Flow[Job]:
        """Submits a training job, which publishes the next version of the model.

        Args:
            dataset: its record, id or name.
            model: the model's name.

        Raises:
            Invalid: what cannot train; ``errors`` names each wrong value.
        """
        body = _training_body(dataset, model, options)
        return record(Job.read, (yield from self._change("POST", PATHS["training"], body, idempotency_key)))

    @operation
    def plan(self, dataset: str | Dataset, model: str, **options: Unpack[TrainingOptions]) -> Flow[TrainingPlan]:
        """What a training job would be and take: a dry run. Raises as `train`."""
        body = _training_body(dataset, model, options)
        answer = yield from self._change("POST", PATHS["training"], body, dry_run=True)
        return record(TrainingPlan.read, answer)

    @iterates(Job)
    def jobs(
        self,
        kind: JobKind = "training",
        *,
        state: str | None = None,
        tags: Sequence[str] = (),
        search: str | None = None,
    ) -> Flow[None]:
        """All jobs of a kind, newest first.

        Args:
            state: those in this state.
            tags: those with all of these tags.
            search: those with each of these words in their note, tags or names.
        """
        narrowed = {"state": state, "tag": ",".join(tags) or None, "search": search}
        yield from pages(self._get, PATHS[kind], Job.read, **narrowed)

    @operation
    def job(self, job: str | Job) -> Flow[Job]:
        """One job of any kind, as it is now. Raises NotFound."""
        return record(Job.read, (yield from self._get(job_path(job))))

    @iterates(Event)
    def watch(self, job: str | Job, *, last_event_id: str | None = None) -> Flow[None]:
        """The job's events, from the oldest that is kept until its end; a broken connection is made again."""
        yield from _followed(self, job, emit, last_event_id)

    @operation
    def wait(
        self,
        job: str | Job,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        check: bool = True,
    ) -> Flow[Job]:
        """Waits until the job has ended; returns its record.

        Args:
            on_progress: is told the steps done, and all that the job may make; `max_seconds` mostly ends it before.
            on_event: is told each event, from the oldest that is kept.
            check: raise JobFailed or JobCancelled where it has no result.
        """

        def handled(event: Event) -> Flow[None]:
            if on_event:
                on_event(event)
            if on_progress and event.progress:
                on_progress(event.progress.step, event.progress.total_steps)
            yield from ()

        found = record(Job.read, (yield from self._get(job_path(job))))
        while not found.ended:  # it may have been resumed since its last event
            yield from _followed(self, job, handled)
            found = record(Job.read, (yield from self._get(job_path(job))))
        if check and found.state != "succeeded":
            raise (JobFailed if found.state == "failed" else JobCancelled)(found)
        return found

    @operation
    def cancel(self, job: str | Job) -> Flow[Job]:
        """Ends a job; it keeps its checkpoints."""
        return record(Job.read, (yield from self._change("POST", f"{job_path(job)}/cancel")))

    @operation
    def resume(self, job: str | Job) -> Flow[Job]:
        """Continues a failed or cancelled job from its last checkpoint. Raises Conflict."""
        return record(Job.read, (yield from self._change("POST", f"{job_path(job)}/resume")))

    @operation
    def note_job(
        self,
        job: str | Job,
        note: str | None = None,
        *,
        tags: Sequence[str] | None = None,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
    ) -> Flow[Job]:
        """Changes the note and the tags of a job.

        Args:
            note: a text for people; "" removes it, None leaves it.
            tags: in place of those that are there; None leaves them.
            add_tags: beside those that are there.
            remove_tags: of those that are there.

        Raises:
            Invalid: too many tags, or one that is too long.
        """
        body = noted(note, tags, add_tags, remove_tags)
        return record(Job.read, (yield from self._change("PATCH", job_path(job), body)))

    @operation
    def delete_job(self, job: str | Job) -> Flow[None]:
        """Deletes a job that has ended; what it published stays. Raises Conflict."""
        yield from self._change("DELETE", job_path(job))

    @operation
    def history(self, job: str | Job) -> Flow[dict[str, Any]]:
        """``{"steps": […], "series": {name: […]}}`` of a training job: its losses and signals so far."""
        answer = yield from self._get(f"{job_path(job)}/history")
        return record(dict, answer)

    @operation
    def history_table(self, job: str | Job) -> Flow[bytes]:
        """The same as CSV: a line for each step, a column for each loss and signal."""
        return (yield from self._get(f"{job_path(job)}/history", format="csv")).content

    @operation
    def sample_steps(self, job: str | Job) -> Flow[list[int]]:
        """The steps of a training job that have a sample grid, in order."""
        answer = yield from self._get(f"{job_path(job)}/samples")
        return record(lambda content: [int(each) for each in content["steps"]], answer)

    @operation
    def sample_grid(self, job: str | Job, step: int | None = None) -> Flow[bytes]:
        """The sample grid of a step of a training job, or the newest: a PNG. Raises NotFound."""
        name = "latest" if step is None else str(step)
        return (yield from self._get(f"{job_path(job)}/samples/{name}.png")).content

    @operation
    def training_schema(self) -> Flow[dict[str, Any]]:
        """The JSON Schema of a training job, with each preset's overrides, defaults and bounds."""
        answer = yield from self._get(f"{PATHS['training']}/schema")
        return record(dict, answer)


def job_path(job: str | Job) -> str:
    """The path of a job. Its id begins with its kind; that of a training job with ``job``."""
    name = job.id if isinstance(job, Job) else job
    return f"{PATHS.get(name.partition('-')[0], PATHS['training'])}/{part(name)}"


def noted(
    note: str | None, tags: Sequence[str] | None, add_tags: Sequence[str], remove_tags: Sequence[str]
) -> dict[str, Any]:
    """The body of a change of note and tags."""
    lists = {"tags": tags, "add_tags": add_tags or None, "remove_tags": remove_tags or None}
    return given(note=note, **{name: each if each is None else list(each) for name, each in lists.items()})


def _training_body(dataset: str | Dataset, model: str, options: TrainingOptions) -> dict[str, Any]:
    return {"dataset": dataset.id if isinstance(dataset, Dataset) else dataset, "model": model, **given(**options)}


def _followed(
    calls: Calls, job: str | Job, handle: Callable[[Event], Flow[None]], last: str | None = None
) -> Flow[None]:
    """Handles the job's events until its end, over as many connections as it takes."""
    yield from calls._get(job_path(job))  # a wrong id is an error at once
    retries = Retries(calls.retry_policy)
    while True:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        request = Request(method="GET", path=f"{job_path(job)}/events", headers=headers, silence=SILENCE_SECONDS)
        try:
            stream = yield from open_stream(request, events=True)
            if stream.answer.check().status == 204:
                return
            retries.answered()
            ended = False
            while (piece := (yield from read(stream))) is not None:
                event = _event(piece)
                last, ended = event.id or last, _ends(event)
                retries.got_on()
                yield from handle(event)
            yield from close(stream)
            if ended:
                return
            raise NoAnswer("the events ended before the job")
        except FlawsmithError as error:
            seconds = retries.pause(error)
        yield from sleep(seconds)


def _event(piece: RawEvent) -> Event:
    """Raises UnexpectedAnswer."""
    try:
        data = json.loads(piece.data)
        return Event(raw=data, id=piece.id, name=piece.name, data=dict(data))
    except (ValueError, TypeError) as error:
        raise UnexpectedAnswer(f"this is no event of Flawsmith: {error}") from error


def _ends(event: Event) -> bool:
    return event.name == "state" and event.data.get("state") in ENDED
