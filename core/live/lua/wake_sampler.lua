-- Included function: decides whether the caller of the script must send a message that starts a sampling task.
--
-- A message is needed when an announced worker is idle, no earlier message is on its way, and there is enough work.
-- A message that no task answers within LOST_MS counts as lost. Each further one waits twice as long, up to
-- LONGEST_LOST_MS, so that a worker that is stuck does not collect messages.
--
-- Arguments:
--   keys.sampler  prefix of: `woken`, hash: `lost_at`, when (ms) the message on its way counts as lost; `unanswered`,
--                 messages so far that no sampling task answered; and `active`, sorted set: workers that run a
--                 sampling task, by when (ms) each will have been silent for too long
--   keys.workers  hash: announced sampling workers -> until when (ms) each counts as live, and its metrics address
--   now           the server's time, in ms
--   waiting       addresses that callers wait for; 0 when only an image pool needs images
-- Returns 1 (send a message; the function has noted that it is on its way) or 0.

local LOST_MS, LONGEST_LOST_MS = 3000, 60000
local MICRO_BATCH = 16 -- as in core/domain/micro_batch.py: fewer addresses would not fill another worker's pass

local function live_workers(workers, now)
  local live = 0
  for _, announcement in ipairs(redis.call('hvals', workers)) do
    if tonumber(string.match(announcement, '^%d+')) > now then live = live + 1 end
  end
  return live
end

local function wake_sampler(keys, now, waiting)
  local woken = redis.call('hmget', keys.sampler .. 'woken', 'lost_at', 'unanswered')
  if woken[1] and tonumber(woken[1]) > now then return 0 end
  local active = redis.call('zcount', keys.sampler .. 'active', now, '+inf')
  if active > 0 and waiting <= active * MICRO_BATCH then return 0 end
  if live_workers(keys.workers, now) <= active then return 0 end
  local unanswered = tonumber(woken[2] or 0)
  local lost_at = now + math.min(LOST_MS * 2 ^ unanswered, LONGEST_LOST_MS)
  redis.call('hset', keys.sampler .. 'woken', 'lost_at', string.format('%.0f', lost_at), 'unanswered', unanswered + 1)
  return 1
end
