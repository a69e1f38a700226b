-- Takes a message that is due, and puts it off, so that no other process tries it meanwhile.
--
-- KEYS 1 due       sorted set: messages by when they are due, in ms
-- ARGV 1 busy for  ms in which the message is not due again, unless its attempt says otherwise
-- Returns the message's id, or nothing.

--- @include "server_time"

local now = server_time()
local found = redis.call('zrangebyscore', KEYS[1], '-inf', now, 'limit', 0, 1)[1]
if found then redis.call('zadd', KEYS[1], now + ARGV[1], found) end
return found
