-- Charges a call to a caller's rate, unless the caller is over it (generic cell rate algorithm, ITU-T I.371).
--
-- KEYS 1 arrival   string: the caller's theoretical arrival time, in ms
-- ARGV 1 cost      ms that this call costs at the caller's rate
--      2 burst     ms of debt up to which a call passes
-- Returns 0, or the ms until the call would be allowed; then nothing is charged.

--- @include "server_time"

local key, cost, burst = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

local now = server_time()
local arrival = math.max(tonumber(redis.call('get', key) or now), now)
if arrival - now > burst then return arrival - now - burst end
local next_arrival = math.floor(arrival + cost)
if next_arrival > now then redis.call('set', key, string.format('%.0f', next_arrival), 'px', next_arrival - now) end
return 0
