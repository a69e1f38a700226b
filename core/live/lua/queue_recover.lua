-- Requeues what workers that died had in flight.
--
-- KEYS 1 queue     prefix of the queue's keys
--      2 sampler   see wake_sampler.lua
--      3 workers   see wake_sampler.lua
-- Returns 1 (send a message that starts a sampling task) or 0.

--- @include "server_time"
--- @include "requeue_in_flight"
--- @include "wake_for_queue"

local keys = {queue = KEYS[1], sampler = KEYS[2], workers = KEYS[3]}
local now = server_time()

for _, worker in ipairs(redis.call('smembers', keys.queue .. 'consumers')) do
  local announcement = redis.call('hget', keys.workers, worker)
  if not announcement or tonumber(string.match(announcement, '^%d+')) < now then
    requeue_in_flight(keys.queue, worker)
  end
end
return wake_for_queue(keys, now)
