--- @include "wake_sampler"

-- Included function: `wake_sampler` for addresses that are queued and not yet in flight. `keys` also has
-- `keys.queue`, the prefix of the queue's keys.

local function wake_for_queue(keys, now)
  if redis.call('exists', keys.queue .. 'versions') == 0 then return 0 end
  return wake_sampler(keys, now, tonumber(redis.call('get', keys.queue .. 'total') or 0))
end
