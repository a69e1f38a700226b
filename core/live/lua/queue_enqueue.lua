-- Enqueues addresses of one version for one subscriber. An address already queued only gains the subscriber and, when
-- this one waits longer, the later deadline. Refuses all of them when they could not be ready in time or find no room.
--
-- Room: all callers together may have `limit` addresses. A caller may have as many as are free, a version twice as
-- many (dynamic thresholds: Choudhury and Hahne 1998), so that a caller that floods the queue leaves room for others.
-- Time: the work ahead of these addresses, at the measured rates, by a safety margin.
--
-- KEYS 1 queue     prefix of the queue's keys
--      2 sampler   see wake_sampler.lua
--      3 workers   see wake_sampler.lua
-- ARGV 1 version
--      2 caller
--      3 subscriber       INBOX/KREQUEST, K being 'a' (asked by address) or 'n' (asked for a new image)
--      4 patience         ms that the subscriber waits
--      5 resubmission     1: these were accepted before, and are not refused now
--      6 limit            addresses that callers may wait for, in all
--      7 worker_count     live sampling workers
--      8 margin           factor on the time that the work ahead is expected to take
--      9 … address        one or more
-- Returns {1, wake}: accepted; wake = 1: send a message that starts a sampling task.
--         {0, ahead, own}: refused; seconds of others' work ahead, and of these addresses, as text.

--- @include "server_time"
--- @include "queued_addresses"
--- @include "wake_for_queue"

local keys = {queue = KEYS[1], sampler = KEYS[2], workers = KEYS[3]}
local version, caller, subscriber = ARGV[1], ARGV[2], ARGV[3]
local patience, resubmission, limit = tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])
local worker_count, margin = tonumber(ARGV[7]), tonumber(ARGV[8])
local FIRST_ADDRESS = 9

local queue, now = keys.queue, server_time()
local deadlines, subscribers = queue .. version .. ':deadlines', queue .. version .. ':subscribers'

local function new_addresses()
  local count = 0
  for i = FIRST_ADDRESS, #ARGV do
    if not redis.call('zscore', deadlines, ARGV[i]) then count = count + 1 end
  end
  return count
end

-- Seconds that all queued addresses of all versions take one worker.
local function backlog()
  local seconds = 0
  for _, each in ipairs(redis.call('lrange', queue .. 'versions', 0, 99)) do
    local rate = tonumber(redis.call('hget', queue .. 'rates', each) or 0)
    if rate > 0 then seconds = seconds + redis.call('zcard', queue .. each .. ':deadlines') / rate end
  end
  return seconds
end

-- The answer that refuses so many new addresses, or nil where they are accepted.
local function refusal(new)
  local total = tonumber(redis.call('get', queue .. 'total') or 0)
  local callers_own = tonumber(redis.call('hget', queue .. 'callers', caller) or 0) + new
  local of_version = redis.call('zcard', deadlines) + new
  local other_callers = redis.call('hlen', queue .. 'callers') - (callers_own > new and 1 or 0)
  local rate = tonumber(redis.call('hget', queue .. 'rates', version) or 0)
  local ahead, own = backlog(), 0
  if rate > 0 then
    own = new / rate / worker_count
    -- Callers take turns: no more than one image of each other caller comes before each of this caller's.
    ahead = math.min(ahead, (callers_own - new) * (other_callers + 1) / rate + new * other_callers / rate)
  end
  ahead = ahead / worker_count
  local room = limit - total
  if callers_own > room or of_version > 2 * room or (ahead * margin + own) * 1000 > patience then
    return {0, tostring(ahead), tostring(own)}
  end
  return nil
end

local function enqueue(address)
  local known = redis.call('hget', subscribers, address)
  if not known then
    redis.call('hset', subscribers, address, caller .. '\t' .. subscriber)
    redis.call('zadd', deadlines, now + patience, address)
    redis.call('zadd', queue .. 'enqueued', now, version .. '\n' .. address)
    redis.call('incr', queue .. 'total')
    redis.call('hincrby', queue .. 'callers', caller, 1)
    push_address(queue, version, caller, address, false)
    return
  end
  redis.call('zadd', deadlines, 'gt', now + patience, address)
  if not string.find(known .. '\t', '\t' .. subscriber .. '\t', 1, true) then
    redis.call('hset', subscribers, address, known .. '\t' .. subscriber)
  end
end

local new = new_addresses()
if new > 0 and not resubmission then
  local refused = refusal(new)
  if refused then return refused end
end
for i = FIRST_ADDRESS, #ARGV do enqueue(ARGV[i]) end
return {1, wake_for_queue(keys, now)}
