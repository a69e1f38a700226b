-- Notes a caller's idempotency key for as long as it is kept, unless there are too many of them.
--
-- KEYS 1 own        sorted set: the caller's keys, by when each expires, in ms
--      2 all        sorted set: the keys of all callers, likewise
-- ARGV 1 key
--      2 lifetime   ms
--      3 own bound  most keys of one caller
--      4 bound      most keys of all callers
-- Returns {0, 0} where the key is noted, else {1 for the caller's bound or 2 for that of all, ms until there is room}.

--- @include "server_time"

local own, all = KEYS[1], KEYS[2]
local key, lifetime, own_bound, bound = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local now = server_time()
for _, keys in ipairs(KEYS) do redis.call('zremrangebyscore', keys, '-inf', now) end
if redis.call('zscore', own, key) then return {0, 0} end
for number, limit in ipairs({own_bound, bound}) do
  if redis.call('zcard', KEYS[number]) >= limit then
    local oldest = redis.call('zrange', KEYS[number], 0, 0, 'withscores')
    return {number, math.max(1, tonumber(oldest[2]) - now)}
  end
end
for _, keys in ipairs(KEYS) do
  redis.call('zadd', keys, now + lifetime, key)
  redis.call('pexpire', keys, lifetime)
end
return {0, 0}
