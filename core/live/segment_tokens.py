"""Tokens of segments: which one message may run a job's next segment, and which messages have not been delivered yet.

The broker delivers at least once. A message runs a segment only if its token is the job's newest; every earlier message
does nothing. The set of outstanding segments says what waits in the broker without reading the broker's own keys.
"""

import secrets

from redis import Redis

from flawsmith.core.domain.jobs import Job, JobState
from flawsmith.core.live import keys
from flawsmith.core.live.scripts import script


class SegmentTokens:
    """Issues and redeems the tokens of one queue's segments."""

    def __init__(self, redis: Redis, queue: str) -> None:
        self.redis = redis
        self.outstanding = keys.outstanding_segments(queue)
        self._issue = redis.register_script(script("segment_issue"))
        self._redeem = redis.register_script(script("segment_redeem"))

    def issue(self, job: Job, index: str) -> str:
        """The token of the job's next segment; every earlier one is void. ``index`` is that of the job's kind."""
        token = secrets.token_hex(8)
        states = [keys.jobs_in(index, state) for state in (JobState.QUEUED, JobState.RUNNING)]
        self._issue([keys.job_segment(job.id), self.outstanding, *states], [token, job.id])
        return token

    def redeem(self, job_id: str, token: str) -> bool:
        """Whether the message with this token may run the segment; it is the only one that may."""
        return bool(self._redeem([keys.job_segment(job_id), self.outstanding], [token, job_id]))

    def count(self) -> int:
        """How many segments are outstanding."""
        return int(self.redis.zcard(self.outstanding))
