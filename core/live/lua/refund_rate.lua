-- Takes back what a call was charged, since it was refused later (see charge_rate.lua).
--
-- KEYS 1 arrival   string: the caller's theoretical arrival time, in ms
-- ARGV 1 cost      ms that the call was charged

--- @include "server_time"

local key, cost = KEYS[1], tonumber(ARGV[1])

local now = server_time()
local arrival = math.floor(tonumber(redis.call('get', key) or now) - cost)
if arrival > now then
  redis.call('set', key, string.format('%.0f', arrival), 'px', arrival - now)
else
  redis.call('del', key)
end
