--- @include "queued_addresses"

-- Included function: requeues, at the front, the addresses that a worker took and did not deliver.

local function requeue_in_flight(queue, worker)
  for _, batch in ipairs(redis.call('hvals', queue .. 'in-flight:' .. worker)) do
    local version, addresses = string.match(batch, '^([^\n]*)\n(.*)$')
    for address in string.gmatch(addresses, '[^\n]+') do
      local subscribers = redis.call('hget', queue .. version .. ':subscribers', address)
      if subscribers then push_address(queue, version, string.match(subscribers, '^[^\t]*'), address, true) end
    end
  end
  redis.call('del', queue .. 'in-flight:' .. worker)
  redis.call('srem', queue .. 'consumers', worker)
end
