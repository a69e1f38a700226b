"""What can go wrong with a call: one class for each kind of problem, with the words of the service.

A problem is an RFC 9457 answer; `Problem.detail` says what was wrong and what would be right.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class FlawsmithError(Exception):
    """Whatever a client raises."""


class NoAnswer(FlawsmithError):
    """The service did not answer: it does not run, the URL is wrong, or the connection broke."""


class WrongUrl(FlawsmithError):
    """The URL of the service is no URL of HTTP, such as one without ``http://``."""


class UnexpectedAnswer(FlawsmithError):
    """Something answered that is no Flawsmith, or a release of it that this client cannot read."""


class BrokenDownload(FlawsmithError):
    """A downloaded file is not what the service said it would be."""


class JobError(FlawsmithError):
    """A job ended without a result.

    Attributes:
        job: its record, `records.Job`.
    """

    def __init__(self, job: Any) -> None:
        super().__init__(f"{job.id} {job.state}" + (f": {job.error}" if job.error else ""))
        self.job = job


class JobFailed(JobError):
    """The job failed; its ``error`` says why. `resume` goes on from its last checkpoint."""


class JobCancelled(JobError):
    """Somebody cancelled the job. `resume` goes on from its last checkpoint."""


class Problem(FlawsmithError):
    """The service refused a call. The class is that of the problem's kind, or this one for kinds of later releases.

    Attributes:
        status: of HTTP.
        type: ``urn:flawsmith:KIND``.
        title: of the status.
        detail: what was wrong, and what would be right.
        instance: the path of the call.
        errors: of a body: ``[{"pointer": "/count", "detail": …}]``.
        members: every key of the answer, also those of some kinds only.
        retry_after: seconds after which the service asks to try again; None where it does not say.
        request_id: names the call in the service's log.
    """

    kind: ClassVar[str] = ""

    def __init__(
        self,
        status: int,
        members: Mapping[str, Any],
        *,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        self.status, self.members = status, dict(members)
        self.type = str(members.get("type", "about:blank"))
        self.title = str(members.get("title", ""))
        self.detail = str(members.get("detail") or self.title or f"HTTP status {status}")
        self.instance = str(members.get("instance", ""))
        self.errors: list[dict[str, str]] = list(members.get("errors") or [])
        self.retry_after, self.request_id = retry_after, request_id
        super().__init__(self.detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Problems cross process borders, as those of a DataLoader's workers."""
        return _rebuilt, (type(self), self.status, self.members, self.retry_after, self.request_id)


def _rebuilt(
    kind: type[Problem], status: int, members: dict[str, Any], retry_after: float | None, request_id: str | None
) -> Problem:
    return kind(status, members, retry_after=retry_after, request_id=request_id)


class WithReasons(Problem):
    """A problem that lists its ``reasons`` in words."""

    @property
    def reasons(self) -> list[str]:
        return list(self.members.get("reasons") or [])


class MalformedBody(Problem):
    """400: the body is not what its content type says."""

    kind = "malformed-body"


class MalformedRequest(Problem):
    """400: what arrived is not HTTP."""

    kind = "malformed-request"


class NoKey(Problem):
    """401: the service asks for an API key, and the call had none that it knows."""

    kind = "no-key"


class OutOfScope(Problem):
    """403: the scope of the API key does not permit the call."""

    kind = "out-of-scope"


class ForeignPage(Problem):
    """403: no keys are set, and the call seems to come from a web page."""

    kind = "foreign-page"


class NotFound(Problem):
    """404: there is no such dataset, job, model, version, alias, report or path."""

    kind = "not-found"


class MethodNotAllowed(Problem):
    """405: the path does not support the method."""

    kind = "method-not-allowed"


class NotAcceptable(Problem):
    """406: none of the accepted media types can be served."""

    kind = "not-acceptable"


class TooSlow(Problem):
    """408: headers, a body or an upload stalled."""

    kind = "too-slow"


class Conflict(Problem):
    """409: a dataset in use, a version with an alias, a name that is taken, a job in the wrong state.

    Also a version whose files make no images in the service's release.
    """

    kind = "conflict"


class TooSimilar(Problem):
    """409: images are nearer to a training photograph than ``max_similarity`` allows."""

    kind = "too-similar"


class NoReferences(Problem):
    """409: the version has no photographs to compare images with."""

    kind = "no-references"


class BelowQualityFloor(Problem):
    """409: images score less than the version's quality floor."""

    kind = "below-quality-floor"


class AttributesNotFound(Problem):
    """409: no image has the brightness and severity that were asked for."""

    kind = "attributes-not-found"


class NoImageScores(Problem):
    """409: the version has nothing to score images with."""

    kind = "no-image-scores"


class DoubtfulLabels(Problem):
    """409: no images with plausible labels were found."""

    kind = "doubtful-labels"


class NoWebhookSecret(Problem):
    """409: the service has no secret to sign the messages of webhooks with."""

    kind = "no-webhook-secret"


class InFlight(Problem):
    """409: the first call with this Idempotency-Key is still running."""

    kind = "in-flight"


class OnlyFailing(WithReasons):
    """409: a bare model name, where every version is failing."""

    kind = "only-failing"


class NotForProduction(WithReasons):
    """409: the gate of the alias `production`; ``reasons`` speak against the version."""

    kind = "not-for-production"


class Withdrawn(Problem):
    """410: an operator withdrew the image."""

    kind = "withdrawn"


class LimitReached(Problem):
    """409: there are as many datasets, models or jobs, or bytes of them, as there may be; ``members["limit"]``."""

    kind = "limit-reached"


class TooLarge(Problem):
    """413: too many bytes, entries or unpacked bytes."""

    kind = "too-large"


class NotAnArchive(Problem):
    """415: the archive is neither zip, tar nor tar.gz."""

    kind = "not-an-archive"


class UnsupportedMediaType(Problem):
    """415: the body must be JSON, or multipart, and is not."""

    kind = "unsupported-media-type"


class ContentCoding(Problem):
    """415: the body is compressed."""

    kind = "content-coding"


class RangeNotSatisfiable(Problem):
    """416: the file has none of the bytes that were asked for."""

    kind = "range-not-satisfiable"


class Invalid(Problem):
    """422: invalid values; ``errors`` has a JSON pointer for each."""

    kind = "invalid"


class CannotTell(Problem):
    """422: an upload can be read in several ways; ``members["candidates"]`` has them."""

    kind = "cannot-tell"


class NoUsableImages(Problem):
    """422: fewer than two usable photographs; ``members["rejected"]`` has the reasons."""

    kind = "no-usable-images"


class NothingNew(Problem):
    """422: an addition to a dataset has no photograph that it lacks; ``members["rejected"]`` has the reasons."""

    kind = "nothing-new"


class KeyReused(Problem):
    """422: an Idempotency-Key came again with another body."""

    kind = "key-reused"


class Busy(Problem):
    """429: the work ahead would take too long, or the caller exceeds its rate. Raised after the client's retries."""

    kind = "busy"


class SamplingFailed(Problem):
    """500: the worker could not make the images."""

    kind = "sampling-failed"


class Internal(Problem):
    """500: a bug in the service; its log has the details under ``request_id``."""

    kind = "internal"


class Unavailable(Problem):
    """503: Redis, the disk or all workers of a queue are down. Raised after the client's retries."""

    kind = "unavailable"


class DeadlinePassed(Problem):
    """504: the images were not ready before ``deadline_seconds``."""

    kind = "deadline-passed"


def _kinds(below: type[Problem]) -> dict[str, type[Problem]]:
    found = {below.kind: below} if below.kind else {}
    for each in below.__subclasses__():
        found |= _kinds(each)
    return found


KINDS = _kinds(Problem)
"""The class of each kind of problem."""

_PREFIX = "urn:flawsmith:"


def problem_of(
    status: int, members: Mapping[str, Any], *, retry_after: float | None = None, request_id: str | None = None
) -> Problem:
    """The problem that an answer of the service means."""
    kind = str(members.get("type", "")).removeprefix(_PREFIX)
    return KINDS.get(kind, Problem)(status, members, retry_after=retry_after, request_id=request_id)
