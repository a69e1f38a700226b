-- Reads what GET /metrics shows of the whole service, all at one moment.
--
-- KEYS 1 queue      prefix of the sampling queue's keys
--      2 sampler    prefix, see wake_sampler.lua
--      3 pools      prefix of the pools' keys; see core/live/image_pool.py
--      4 records    prefix of the jobs' records
--      5 webhooks   sorted set: messages that are not delivered
--      6 …          for each queue: workers (see worker_announce.lua), outstanding (segment_issue.lua), leases
--                   (lease_hold.lua); then the indexes of jobs by state, those of running jobs first
-- ARGV 1 queues     how many queues
--      2 running    how many indexes of running jobs
--      3 most       records of running jobs, newest first, of each index
--      4 pools      most pools, those first that were asked for images last
-- Returns {now, queues, sampling, pools, counts, records, memory, webhooks}, times in ms:
--   queues     for each queue {workers, outstanding, when the oldest was sent or '', leases}; workers are names and texts
--   sampling   {addresses, messages, when the oldest address was enqueued or '', active workers, failing}
--   pools      for each pool: name, images, target
--   counts     of each index
--   records    of running jobs
--   memory     INFO memory

--- @include "server_time"

local queue, sampler, pools, records, webhooks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local queues, running, most_records, most_pools = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] - 1, ARGV[4] - 1
local FIRST_OF_QUEUES = 6
local FIRST_INDEX = FIRST_OF_QUEUES + 3 * queues
local MOST_FORGOTTEN = 1000
local now = server_time()

local function state_of_queue(workers, outstanding, leases)
  local oldest = redis.call('zrange', outstanding, 0, 0, 'withscores')[2] or ''
  local leased = redis.call('zcount', leases, now, '+inf')
  return {redis.call('hgetall', workers), redis.call('zcard', outstanding), oldest, leased}
end

-- When the oldest address that a caller waits for was enqueued. A worker of an earlier release leaves addresses here
-- that nobody waits for any more.
local function oldest_address()
  for _ = 1, MOST_FORGOTTEN do
    local found = redis.call('zrange', queue .. 'enqueued', 0, 0, 'withscores')
    if not found[1] then return '' end
    local version, address = string.match(found[1], '^([^\n]*)\n(.*)$')
    if version and redis.call('zscore', queue .. version .. ':deadlines', address) then return found[2] end
    redis.call('zrem', queue .. 'enqueued', found[1])
  end
  return ''
end

local function state_of_sampling()
  local waiting = tonumber(redis.call('get', queue .. 'total') or 0)
  local active = redis.call('zrangebyscore', sampler .. 'active', now, '+inf')
  local messages = redis.call('exists', sampler .. 'woken')
  return {waiting, messages, oldest_address(), active, redis.call('hkeys', queue .. 'failing')}
end

local function state_of_pools()
  local found = {}
  for _, name in ipairs(redis.call('zrevrange', pools .. 'names', 0, most_pools)) do
    local images = redis.call('llen', pools .. 'images:' .. name)
    local target = tonumber(redis.call('hget', pools .. 'state:' .. name, 'target') or 0)
    for _, each in ipairs({name, images, target}) do found[#found + 1] = each end
  end
  return found
end

local of_queues, counts, found = {}, {}, {}
for i = FIRST_OF_QUEUES, FIRST_INDEX - 1, 3 do
  of_queues[#of_queues + 1] = state_of_queue(KEYS[i], KEYS[i + 1], KEYS[i + 2])
end
for i = FIRST_INDEX, #KEYS do
  counts[#counts + 1] = redis.call('zcard', KEYS[i])
  if i < FIRST_INDEX + running then
    for _, job in ipairs(redis.call('zrevrange', KEYS[i], 0, most_records)) do
      local record = redis.call('get', records .. job)
      if record then found[#found + 1] = record end
    end
  end
end
local memory = redis.call('info', 'memory')
return {now, of_queues, state_of_sampling(), state_of_pools(), counts, found, memory, redis.call('zcard', webhooks)}
