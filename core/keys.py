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


def worker(queue: str, name: str) -> str:
    """string, core.queues: where the live worker's metrics are; expires unless it is renewed."""
    return f"{PREFIX}:worker:{queue}:{name}"


def wanted(request: str) -> str:
    """string, core.replies: there while somebody waits for the request's images; gone at its deadline."""
    return f"{PREFIX}:wanted:{request}"


def reply(request: str) -> str:
    """list, core.replies: the request's images, in order; gone soon after its deadline."""
    return f"{PREFIX}:reply:{request}"


def next_seed(version: str, defect_type: str) -> str:
    """hash, core.addresses: next unseeded seed and the run of the server that counted it; kept."""
    return f"{PREFIX}:seed:{version}:{defect_type}"


def next_turn(version: str) -> str:
    """string, core.addresses: which defect type's turn it is; kept."""
    return f"{PREFIX}:turn:{version}"


def idempotency(call: str) -> str:
    """string, app.idempotency: the first call's answer, or that it is in flight; a day, or ten minutes in flight."""
    return f"{PREFIX}:idempotency:{call}"
