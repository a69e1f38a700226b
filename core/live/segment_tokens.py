"""Tokens of segments: which one message may run a job's next segment, and which messages have not been delivered yet.

The broker delivers at least once. A message runs a segment only if its token is the job's newest; every earlier message
does nothing. The set of outstanding segments says what waits in the broker without reading the broker's own keys.
"""

import secrets

from redis import Redis

from flawsmith.core.domain.jobs import Job, JobState
from flawsmith.core.live import keys

# KEYS: token, outstanding segments, queued jobs, running jobs. ARGV: token, job id.
# A job that has ended meanwhile is not outstanding: its message will do nothing.
_ISSUE = """
redis.call('set', KEYS[1], ARGV[1])
if redis.call('zscore', KEYS[3], ARGV[2]) or redis.call('zscore', KEYS[4], ARGV[2]) then
  local time = redis.call('time')
  redis.call('zadd', KEYS[2], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), ARGV[2])
end
"""

# KEYS: token, outstanding segments. ARGV: token, job id. A token that Redis lost is accepted.
_REDEEM = """
local expected = redis.call('get', KEYS[1])
if expected and expected ~= ARGV[1] then return 0 end
redis.call('del', KEYS[1])
redis.call('zrem', KEYS[2], ARGV[2])
return 1
"""


class SegmentTokens:
    """Issues and redeems the tokens of one queue's segments."""

    def __init__(self, redis: Redis, queue: str) -> None:
        self.redis = redis
        self.outstanding = keys.outstanding_segments(queue)

    def issue(self, job: Job, index: str) -> str:
        """The token of the job's next segment; every earlier one is void. ``index`` is that of the job's kind."""
        token = secrets.token_hex(8)
        states = [keys.jobs_in(index, state) for state in (JobState.QUEUED, JobState.RUNNING)]
        self.redis.eval(_ISSUE, 4, keys.job_segment(job.id), self.outstanding, *states, token, job.id)
        return token

    def redeem(self, job_id: str, token: str) -> bool:
        """Whether the message with this token may run the segment; it is the only one that may."""
        return bool(self.redis.eval(_REDEEM, 2, keys.job_segment(job_id), self.outstanding, token, job_id))

    def count(self) -> int:
        """How many segments are outstanding."""
        return int(self.redis.zcard(self.outstanding))
