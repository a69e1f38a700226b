-- Issues the token of a job's next segment, and notes the segment as outstanding.
--
-- KEYS 1 expected      string: the token that may run the job's next segment
--      2 outstanding   sorted set: jobs whose next segment was sent and not begun, by when (ms)
--      3 queued, 4 running   indexes of the jobs in these states
-- ARGV 1 token
--      2 job id
-- Returns nothing. A job that has ended meanwhile is not outstanding: its message will do nothing.

--- @include "server_time"

local expected, outstanding, queued, running = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, job = ARGV[1], ARGV[2]

redis.call('set', expected, token)
if redis.call('zscore', queued, job) or redis.call('zscore', running, job) then
  redis.call('zadd', outstanding, string.format('%.0f', server_time()), job)
end
