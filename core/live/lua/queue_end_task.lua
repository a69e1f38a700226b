-- Ends a sampling task: requeues what the worker failed to deliver, and says whether another task must follow.
--
-- KEYS 1 queue     prefix of the queue's keys
--      2 sampler   see wake_sampler.lua
--      3 workers   see wake_sampler.lua
-- ARGV 1 worker
--      2 more      1: an image pool still needs images
-- Returns 1 (send a message that starts a sampling task) or 0.

--- @include "server_time"
--- @include "requeue_in_flight"
--- @include "wake_for_queue"
--- @include "failing_workers"

local keys = {queue = KEYS[1], sampler = KEYS[2], workers = KEYS[3]}
local worker, more = ARGV[1], ARGV[2] == '1'

requeue_in_flight(keys.queue, worker)
redis.call('zrem', keys.sampler .. 'active', worker)
local now = server_time()

-- Whether work is left for this worker, or for another one that is not at it: else messages would go round for work that
-- this worker leaves to one that is busy.
local function needs_another_task()
  if redis.call('zcount', keys.sampler .. 'active', now, '+inf') == 0 then return true end
  for _, version in ipairs(redis.call('lrange', keys.queue .. 'versions', 0, 99)) do
    if takes(keys, worker, version, now) then return true end
  end
  return false
end

local wake = needs_another_task() and wake_for_queue(keys, now) or 0
if wake == 0 and more then wake = wake_sampler(keys, now, 0) end
return wake
