-- Gives a worker the next micro-batch of one version, and notes it as in flight. Within a version, callers take turns,
-- one image each; versions take turns, one micro-batch each; no caller is first twice in a row while another waits. A
-- worker that fails to make images of a version gets none of them while others can.
--
-- KEYS 1 queue     prefix of the queue's keys
--      2 sampler   see wake_sampler.lua; the worker is noted there as active
--      3 workers   see wake_sampler.lua
-- ARGV 1 worker
--      2 size      most addresses
--      3 silence   ms after which an active worker that does not ask again counts as gone
-- Returns {number, version, addresses, kinds, waited}, or nil when nothing is queued. `kinds` has a letter for each
-- address: 'a' where a subscriber asked by address, else 'n'; `waited` are the ms since the oldest was enqueued.

--- @include "server_time"
--- @include "queued_addresses"
--- @include "failing_workers"

local keys = {queue = KEYS[1], sampler = KEYS[2], workers = KEYS[3]}
local queue, sampler = keys.queue, keys.sampler
local worker, size, silence = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = server_time()

-- Of the versions that the worker takes, the next whose first caller is not the one that was first last time; else the
-- next one.
local function next_version()
  local last_caller, chosen = redis.call('get', queue .. 'last-caller'), nil
  for _, version in ipairs(redis.call('lrange', queue .. 'versions', 0, 99)) do
    if takes(keys, worker, version, now) then
      local is_anothers = redis.call('lindex', queue .. version .. ':callers', 0) ~= last_caller
      if is_anothers or not chosen then chosen = version end
      if is_anothers then break end
    end
  end
  if chosen then redis.call('lrem', queue .. 'versions', 1, chosen) end
  return chosen
end

-- A caller's next address that a subscriber still waits for; addresses past their deadline are forgotten.
local function next_address(version, caller)
  local addresses = queue .. version .. ':queued:' .. caller
  local address = redis.call('lpop', addresses)
  while address do
    local deadline = redis.call('zscore', queue .. version .. ':deadlines', address)
    if deadline and tonumber(deadline) > now then return address end
    if deadline then forget_address(queue, version, address) end
    address = redis.call('lpop', addresses)
  end
  return nil
end

local function kind_of(version, address)
  local subscribers = redis.call('hget', queue .. version .. ':subscribers', address)
  return string.find(subscribers, '\t[^\t/]*/a') and 'a' or 'n'
end

-- Milliseconds since the oldest of these addresses was enqueued.
local function longest_wait(version, addresses)
  local members = {}
  for _, address in ipairs(addresses) do members[#members + 1] = version .. '\n' .. address end
  local oldest = now
  for _, at in ipairs(redis.call('zmscore', queue .. 'enqueued', unpack(members))) do
    if at and tonumber(at) < oldest then oldest = tonumber(at) end
  end
  return now - oldest
end

local function fill_batch(version)
  local callers, batch, kinds = queue .. version .. ':callers', {}, {}
  while #batch < size do
    local caller = redis.call('lpop', callers)
    if not caller then break end
    local address = next_address(version, caller)
    if address then
      if #batch == 0 then redis.call('set', queue .. 'last-caller', caller) end
      batch[#batch + 1], kinds[#kinds + 1] = address, kind_of(version, address)
    end
    if redis.call('exists', queue .. version .. ':queued:' .. caller) == 1 then redis.call('rpush', callers, caller) end
  end
  if redis.call('exists', callers) == 1 then redis.call('rpush', queue .. 'versions', version) end
  return batch, table.concat(kinds)
end

redis.call('zadd', sampler .. 'active', now + silence, worker)
while true do
  local version = next_version()
  if not version then return nil end
  local batch, kinds = fill_batch(version)
  if #batch > 0 then
    local number = redis.call('incr', queue .. 'batches')
    redis.call('sadd', queue .. 'consumers', worker)
    redis.call('hset', queue .. 'in-flight:' .. worker, number, version .. '\n' .. table.concat(batch, '\n'))
    return {tostring(number), version, batch, kinds, longest_wait(version, batch)}
  end
end
