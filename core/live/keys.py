"""Every Redis key of Flawsmith, with its type, owner and lifetime."""

PREFIX = "flawsmith"

JOBS_RESTORED = f"{PREFIX}:jobs:restored"
"""string, core.live.job_repository: run id of the server that was last filled from the artifact store."""

CHANGED_JOBS = f"{PREFIX}:jobs:changed"
"""set, core.live.webhooks: ``JOB/CHANGES`` of jobs whose state changed and of which nobody was told yet."""

WEBHOOKS_DUE = f"{PREFIX}:webhooks:due"
"""sorted set, core.live.webhooks: messages that are not delivered, by when they are due, in ms."""

WEBHOOKS_SURVEY = f"{PREFIX}:webhooks:survey"
"""string, core.live.webhooks: a process has just compared the above with the artifact store; expires after seconds."""


def job(job_id: str) -> str:
    """string, core.live.job_repository: the job's record as JSON; kept."""
    return f"{PREFIX}:job:{job_id}"


def jobs_in(index: str, state: str) -> str:
    """sorted set, core.live.job_repository: a kind's jobs in a state; all scores are 0, so that they sort by id.

    ``index`` is `JobKind.index`: ``jobs`` for training, ``jobs:KIND`` for other kinds.
    """
    return f"{PREFIX}:{index}:{state}"


def jobs_of_caller(caller: str, index: str) -> str:
    """sorted set, core.live.job_repository: a kind's jobs that a caller queued; some may have begun; a month."""
    return f"{PREFIX}:{index}:of:{caller}"


def job_events(job_id: str) -> str:
    """stream, core.live.job_events: `state`, `progress` and others; trimmed; expires a day after the last."""
    return f"{PREFIX}:job:{job_id}:events"


def job_deleted(job_id: str) -> str:
    """string, core.live.job_repository: the job was deleted; expires once no worker can still write for it."""
    return f"{PREFIX}:job:{job_id}:deleted"


def job_segment(job_id: str) -> str:
    """string, core.live.segment_tokens: token of the one message that may run the next segment; gone when it begins."""
    return f"{PREFIX}:job:{job_id}:segment"


def outstanding_segments(queue: str) -> str:
    """sorted set, core.live.segment_tokens: jobs whose next segment was sent and has not begun, by when, in ms."""
    return f"{PREFIX}:segments:{queue}"


def job_requeued(job_id: str) -> str:
    """string, core.live.reaper: one process has just sent a lost segment again; expires after seconds."""
    return f"{PREFIX}:job:{job_id}:reaped"


def job_history(job_id: str) -> str:
    """list, core.live.job_history: one JSON object a recorded step; expires a day after the last."""
    return f"{PREFIX}:job:{job_id}:history"


def job_lease(job_id: str) -> str:
    """string, core.live.leases: token of the worker that runs the job; expires unless it is renewed."""
    return f"{PREFIX}:job:{job_id}:lease"


def leases(queue: str) -> str:
    """sorted set, core.live.leases: jobs with a lease, by when it expires, in ms."""
    return f"{PREFIX}:leases:{queue}"


def workers(queue: str) -> str:
    """hash, core.live.task_queues: worker -> until when, in ms, it counts as live, and the address of its metrics."""
    return f"{PREFIX}:workers:{queue}"


def worker_devices(queue: str) -> str:
    """hash, core.live.task_queues: worker -> how many devices it has for one job, where they are several."""
    return f"{PREFIX}:workers:{queue}:devices"


WRITE_PROBE = f"{PREFIX}:write-probe"
"""string, core.live.connections: written to find out whether Redis accepts writes; expires after a second."""

NEXT_SEED = f"{PREFIX}:seed:"
"""Prefix of ``version LF type``: hash, core.live.image_pool: next unused seed, and the server's run that counted it;
kept."""


DRIFT_LOOK = f"{PREFIX}:drift-look"
"""string, core.live.drift_watch: a process has just looked for a drift check that is due; expires after minutes."""


RETENTION_RUN = f"{PREFIX}:retention"
"""string, core.housekeeping: a process has begun to delete what is due; expires when the next one may."""


def tracker_lease(tracker: str) -> str:
    """string, trackers.turn: the machine that sends jobs to the tracker; expires after minutes."""
    return f"{PREFIX}:tracker:{tracker}"


def next_type(version: str) -> str:
    """string, core.live.image_pool: position in the round of the version's defect types; kept."""
    return f"{PREFIX}:turn:{version}"


POOLS = f"{PREFIX}:pool:"
"""Prefix of the keys of `core.live.image_pool`; its docstring lists them."""

SAMPLING_QUEUE = f"{PREFIX}:sampling-queue:"
"""Prefix of the keys of `core.live.sampling_queue`; its docstring lists them."""

SAMPLER = f"{PREFIX}:sampler:"
"""Prefix of ``woken``, a hash: until when a message that starts a sampling task counts as on its way, and how many were
not answered; gone when a sampling task begins. And of ``active``, a sorted set: the workers that run a sampling task.
Both are of `core/live/lua/wake_sampler.lua`."""

CACHED_IMAGE = f"{PREFIX}:image:"
"""Prefix of ``version LF address``: string, core.live.image_cache: an image that was asked for by address."""

CACHED_BY_AGE = f"{PREFIX}:images"
"""sorted set, core.live.image_cache: keys of the cached images, by when each was stored; the oldest make room."""

CACHED_BYTES = f"{PREFIX}:images:bytes"
"""string, core.live.image_cache: bytes of all cached images."""


def inbox(api_process: str) -> str:
    """list, core.live.sampling_queue: images on their way to an API process; gone a minute after the last."""
    return f"{PREFIX}:inbox:{api_process}"


def caller_rate(caller: str, unit: str) -> str:
    """string, app.rate_limit: when, in ms, what a caller asked for of a unit is paid off at its rate; gone then."""
    return f"{PREFIX}:rate:{unit}:{caller}"


def caller_quota(caller: str, unit: str) -> str:
    """string, app.rate_limit: how much of a unit a caller asked for in this day of UTC; gone at its end."""
    return f"{PREFIX}:quota:{unit}:{caller}"


def idempotency(call: str) -> str:
    """string, app.idempotency: the first call's body and identity, and its answer, if it has one; a day."""
    return f"{PREFIX}:idempotency:{call}"


def idempotency_lease(record: str) -> str:
    """string, app.idempotency: token of the call that runs; expires after seconds unless it is renewed.

    ``record`` is the key of `idempotency`.
    """
    return f"{record}:lease"


def idempotency_keys(caller: str = "") -> str:
    """sorted set, app.idempotency_bound: keys of a caller, or of all without one, by when each expires, in ms."""
    return f"{PREFIX}:idempotency-keys:{caller}"
