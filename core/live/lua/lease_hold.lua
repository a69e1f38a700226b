-- Acquires a job's lease, or renews it for its holder.
--
-- KEYS 1 lease    string: the holder's token
--      2 leases   sorted set: jobs of the queue that a worker holds, by when (ms) each lease expires
-- ARGV 1 token
--      2 job id
--      3 lifetime   ms
-- Returns 1 (the lease is held by this token) or 0 (by another).

--- @include "server_time"

local lease, leases = KEYS[1], KEYS[2]
local token, job, lifetime = ARGV[1], ARGV[2], tonumber(ARGV[3])

local holder = redis.call('get', lease)
if holder and holder ~= token then return 0 end
redis.call('set', lease, token, 'px', lifetime)
redis.call('zadd', leases, string.format('%.0f', server_time() + lifetime), job)
return 1
