-- Begins a sampling task: the message that started it has arrived, the worker is active, and what an earlier task of
-- this worker failed to deliver is requeued.
--
-- KEYS 1 queue     prefix of the queue's keys
--      2 sampler   see wake_sampler.lua
-- ARGV 1 worker
--      2 silence   ms after which an active worker that does not ask for a micro-batch counts as gone
-- Returns nothing.

--- @include "server_time"
--- @include "requeue_in_flight"

local queue, sampler = KEYS[1], KEYS[2]
local worker, silence = ARGV[1], tonumber(ARGV[2])

requeue_in_flight(queue, worker)
redis.call('del', sampler .. 'woken')
redis.call('zadd', sampler .. 'active', server_time() + silence, worker)
