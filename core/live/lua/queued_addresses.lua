-- Included functions: the sampling queue's addresses. `queue` is the prefix of the queue's keys.

-- Appends an address to its caller's part of the version's queue, or puts it first (`first`).
local function push_address(queue, version, caller, address, first)
  local callers, addresses = queue .. version .. ':callers', queue .. version .. ':queued:' .. caller
  if redis.call('exists', addresses) == 0 then
    if redis.call('exists', callers) == 0 then redis.call('rpush', queue .. 'versions', version) end
    redis.call('rpush', callers, caller)
  end
  redis.call(first and 'lpush' or 'rpush', addresses, address)
end

-- Forgets an address that has been made, cancelled or too late. Returns its subscribers, or nil when it has none.
local function forget_address(queue, version, address)
  local subscribers = redis.call('hget', queue .. version .. ':subscribers', address)
  if not subscribers then return nil end
  redis.call('hdel', queue .. version .. ':subscribers', address)
  redis.call('zrem', queue .. version .. ':deadlines', address)
  redis.call('srem', queue .. version .. ':returned', address)
  redis.call('zrem', queue .. 'enqueued', version .. '\n' .. address)
  redis.call('decr', queue .. 'total')
  local caller = string.match(subscribers, '^[^\t]*')
  if redis.call('hincrby', queue .. 'callers', caller, -1) <= 0 then
    redis.call('hdel', queue .. 'callers', caller)
  end
  return subscribers
end

-- Removes addresses, a table with each as a key, from a caller's part of the version's queue, in one pass over it. Those
-- that are in flight are not in it.
local function remove_addresses(queue, version, caller, addresses)
  local callers, queued = queue .. version .. ':callers', queue .. version .. ':queued:' .. caller
  local before = redis.call('lrange', queued, 0, -1)
  if #before == 0 then return end
  redis.call('del', queued)
  local left = 0
  for _, address in ipairs(before) do
    if not addresses[address] then
      redis.call('rpush', queued, address)
      left = left + 1
    end
  end
  if left > 0 then return end
  redis.call('lrem', callers, 1, caller)
  if redis.call('exists', callers) == 0 then redis.call('lrem', queue .. 'versions', 1, version) end
end
