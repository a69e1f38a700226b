"""Every Redis key of Flawsmith, in one place. Type, owner and lifetime stand beside each."""

PREFIX = "flawsmith"

JOBS_RESTORED = f"{PREFIX}:jobs:restored"
"""string, core.jobs: run of the server that the jobs below were filled into from the store; gone when it was wiped."""


def job(job_id: str) -> str:
    """string, core.jobs: the job's record as JSON; kept."""
    return f"{PREFIX}:job:{job_id}"


def jobs_in(state: str) -> str:
    """sorted set, core.jobs: ids of the jobs in a state, all of score 0 so that they sort by id, which is by time."""
    return f"{PREFIX}:jobs:{state}"


def job_events(job_id: str) -> str:
    """stream, core.jobs: `progress`, `samples` and `state` events; trimmed, and gone a day after the last."""
    return f"{PREFIX}:job:{job_id}:events"


def job_segment(job_id: str) -> str:
    """string, core.queues: token of the one message that may train the job next; gone when its segment begins."""
    return f"{PREFIX}:job:{job_id}:segment"


def job_reaped(job_id: str) -> str:
    """string, core.reaper: there for some seconds after a lost segment was sent again, so that one process does it."""
    return f"{PREFIX}:job:{job_id}:reaped"


def job_history(job_id: str) -> str:
    """list, core.jobs: one JSON object a recorded step; gone a day after the last, when the checkpoint has it."""
    return f"{PREFIX}:job:{job_id}:history"


def job_lease(job_id: str) -> str:
    """string, core.leases: token of the worker that trains the job; expires unless it is renewed."""
    return f"{PREFIX}:job:{job_id}:lease"


def workers(queue: str) -> str:
    """hash, core.queues: live worker -> until when, in ms, it counts as such, and where its metrics are."""
    return f"{PREFIX}:workers:{queue}"


NEXT_SEED = f"{PREFIX}:seed:"
"""Prefix of ``version LF type``: hash, core.live.image_pool: next unused seed, and the server's run that counted it;
kept."""


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
"""Prefix of ``version LF seed:type``: string, core.live.image_cache: an image that was asked for by address."""

CACHED_BY_AGE = f"{PREFIX}:images"
"""sorted set, core.live.image_cache: keys of the cached images, by when each was stored; the oldest make room."""

CACHED_BYTES = f"{PREFIX}:images:bytes"
"""string, core.live.image_cache: bytes of all cached images."""


def inbox(api_process: str) -> str:
    """list, core.live.sampling_queue: images on their way to an API process; gone a minute after the last."""
    return f"{PREFIX}:inbox:{api_process}"


def caller_rate(caller: str) -> str:
    """string, app.rate_limit: when, in ms, a caller's images are paid off at its rate; gone then."""
    return f"{PREFIX}:rate:{caller}"


def idempotency(call: str) -> str:
    """string, app.idempotency: the first call's answer, or that it is in flight; a day, or ten minutes in flight."""
    return f"{PREFIX}:idempotency:{call}"
