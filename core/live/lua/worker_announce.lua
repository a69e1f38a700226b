-- Notes that a worker is alive, until a time by the server's clock, which all machines share.
--
-- KEYS 1 workers    hash: worker -> until when (ms) it counts as live, and the address of its metrics
-- ARGV 1 name
--      2 metrics    host:port
--      3 lifetime   ms
-- Returns nothing.

--- @include "server_time"

local workers = KEYS[1]
local name, metrics, lifetime = ARGV[1], ARGV[2], tonumber(ARGV[3])

redis.call('hset', workers, name, string.format('%.0f', server_time() + lifetime) .. ' ' .. metrics)
