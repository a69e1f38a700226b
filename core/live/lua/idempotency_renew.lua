-- Renews the lease on an Idempotency-Key, if this call still holds it.
--
-- KEYS 1 lease      token of the call that runs
-- ARGV 1 token
--      2 lifetime   ms
-- Returns 1, or 0 where another call has taken over.

local lease, token, lifetime = KEYS[1], ARGV[1], ARGV[2]

if redis.call('get', lease) ~= token then return 0 end
return redis.call('pexpire', lease, lifetime)
