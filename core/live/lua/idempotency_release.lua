-- Ends the lease on an Idempotency-Key, if this call still holds it.
--
-- KEYS 1 record    what is known of the call
--      2 lease     token of the call that runs
-- ARGV 1 token
--      2 forget    1: the call failed, and the record goes as well
-- Returns nothing.

local record, lease = KEYS[1], KEYS[2]
local token, forget = ARGV[1], ARGV[2] == '1'

if redis.call('get', lease) == token then
  redis.call('del', lease)
  if forget then redis.call('del', record) end
end
