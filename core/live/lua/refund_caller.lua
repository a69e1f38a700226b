-- Takes back what a call was charged, since it was refused later (see charge_caller.lua).
--
-- KEYS 1 arrival   string: the caller's theoretical arrival time, in ms
--      2 spent     string: what the caller asked for in this window
-- ARGV 1 cost      ms that the call was charged
--      2 count     what it was charged of the quota

--- @include "server_time"

local cost, count = tonumber(ARGV[1]), tonumber(ARGV[2])

local now = server_time()
local arrival = math.floor(tonumber(redis.call('get', KEYS[1]) or now) - cost)
if arrival > now then
  redis.call('set', KEYS[1], string.format('%.0f', arrival), 'px', arrival - now)
else
  redis.call('del', KEYS[1])
end
local spent = tonumber(redis.call('get', KEYS[2]) or 0)
if spent > 0 then redis.call('set', KEYS[2], string.format('%.0f', math.max(spent - count, 0)), 'keepttl') end
