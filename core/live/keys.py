"""Every Redis key of Flawsmith, with its type, owner and lifetime."""

PREFIX = "flawsmith"

JOBS_RESTORED = f"{PREFIX}:jobs:restored"
"""string, core.live.job_repository: run id of the server that was last filled from the artifact store."""


def job(job_id: str) -> str:
    """string, core.live.job_repository: the job's record as JSON; kept."""
    return f"{PREFIX}:job:{job_id}"


def jobs_in(index: str, state: str) -> str:
    """sorted set, core.live.job_repository: a kind's jobs in a state; all scores are 0, so that they sort by id.

    ``index`` is `JobKind.index`: ``jobs`` for training, ``jobs:KIND`` for other kinds.
    """
    return f"{PREFIX}:{index}:{state}"


def job_events(job_id: str) -> str:
    """stream, core.live.job_events: `state`, `progress` and others; trimmed; expires a day after the last."""
    return f"{PREFIX}:job:{job_id}:events"


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


NEXT_SEED = f"{PREFIX}:seed:"
"""Before ``version LF type``: hash, core.stock: next unseeded seed and the server's run that counted it; kept."""


def next_turn(version: str) -> str:
    """string, core.stock: which defect type's turn it is; kept."""
    return f"{PREFIX}:turn:{version}"


STOCKS = f"{PREFIX}:stocks"
"""sorted set, core.stock: ``version LF type`` of each stock, by when it was last asked of; idle ones are dropped."""

STOCK = f"{PREFIX}:stock:"
"""Before ``version LF type``: list, core.stock: ready images, each ``seed:png``, the next to be taken first."""

STOCK_STATE = f"{PREFIX}:stock-state:"
"""Before ``version LF type``: hash, core.stock: run of the server, demand, target, low water, bytes an image."""


def stock_put(token: str) -> str:
    """string, core.stock: there while the call that put images in stock may be repeated; expires."""
    return f"{PREFIX}:stock-put:{token}"


WORK = f"{PREFIX}:work:"
"""Before what `core.work` keeps of the images that callers wait for; its docstring lists them."""

SAMPLER_WOKEN = f"{PREFIX}:shift:sent"
"""string, core.work: there while a message for a sampling worker is on its way; expires where it was lost."""

ACTIVE_SAMPLERS = f"{PREFIX}:shifts"
"""sorted set, core.work: sampling workers at work, by when they will have fallen silent."""

IMAGE = f"{PREFIX}:image:"
"""Before ``version LF seed:type``: string, core.image_cache: an image that was asked for by address."""

IMAGES_BY_AGE = f"{PREFIX}:images"
"""sorted set, core.image_cache: the cached addresses, by when they were made; the oldest make room."""

IMAGES_BYTES = f"{PREFIX}:images:bytes"
"""string, core.image_cache: bytes of all cached images."""


def inbox(api_process: str) -> str:
    """list, core.work: images on their way to a waiting API process; gone a minute after the last."""
    return f"{PREFIX}:inbox:{api_process}"


def caller_rate(caller: str) -> str:
    """string, app.admission: when, in ms, a caller's images are paid off at its rate; gone then."""
    return f"{PREFIX}:rate:{caller}"


def idempotency(call: str) -> str:
    """string, app.idempotency: the first call's answer, or that it is in flight; a day, or ten minutes in flight."""
    return f"{PREFIX}:idempotency:{call}"
