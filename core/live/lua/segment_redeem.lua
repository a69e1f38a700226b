-- Redeems a segment's token. A token that Redis lost is accepted.
--
-- KEYS 1 expected, 2 outstanding   see segment_issue.lua
-- ARGV 1 token
--      2 job id
-- Returns 1 (the message may run the segment) or 0 (a later token was issued).

local expected, outstanding = KEYS[1], KEYS[2]
local token, job = ARGV[1], ARGV[2]

local newest = redis.call('get', expected)
if newest and newest ~= token then return 0 end
redis.call('del', expected)
redis.call('zrem', outstanding, job)
return 1
