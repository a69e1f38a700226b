-- Charges a call to its caller's rate and to its quota, unless it is over one of them; then nothing is charged.
--
-- The rate is the generic cell rate algorithm (ITU-T I.371); the quota is of fixed windows, which begin at multiples of
-- their length since 1970, so that a day is one of UTC.
--
-- KEYS 1 arrival   string: the caller's theoretical arrival time, in ms
--      2 spent     string: what the caller asked for in this window; gone at its end
-- ARGV 1 cost      ms that this call costs at the caller's rate; 0: no rate
--      2 burst     ms of debt up to which a call passes
--      3 count     what the call asks for
--      4 quota     most of it in a window; 0: no quota
--      5 window    ms
-- Returns {refused, wait, debt, spent, left}: 0, or 1 by the rate and 2 by the quota; the ms until the call would be
-- allowed; ms of debt and what was spent, this call included unless it was refused; ms until the window ends.

--- @include "server_time"

local cost, burst, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local quota, window = tonumber(ARGV[4]), tonumber(ARGV[5])

local now = server_time()
local left = math.ceil(window - now % window)
local debt, spent = 0, 0
if cost > 0 then debt = math.max(tonumber(redis.call('get', KEYS[1]) or now) - now, 0) end
if quota > 0 then spent = tonumber(redis.call('get', KEYS[2]) or 0) end

if cost > 0 and debt > burst then return {1, math.ceil(debt - burst), math.ceil(debt), spent, left} end
if quota > 0 and spent + count > quota then return {2, left, math.ceil(debt), spent, left} end

if cost > 0 then
  local arrival = math.floor(now + debt + cost)
  debt = arrival - now
  if debt > 0 then redis.call('set', KEYS[1], string.format('%.0f', arrival), 'px', debt) end
end
if quota > 0 and count > 0 then
  spent = spent + count
  redis.call('set', KEYS[2], string.format('%.0f', spent), 'px', left)
end
return {0, 0, math.ceil(debt), spent, left}
