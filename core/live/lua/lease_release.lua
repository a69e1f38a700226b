-- Releases a job's lease, if this token still holds it.
--
-- KEYS 1 lease, 2 leases   see lease_hold.lua
-- ARGV 1 token
--      2 job id
-- Returns nothing.

local lease, leases = KEYS[1], KEYS[2]
local token, job = ARGV[1], ARGV[2]

if redis.call('get', lease) ~= token then return end
redis.call('del', lease)
redis.call('zrem', leases, job)
