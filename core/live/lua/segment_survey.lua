-- Finds the jobs of a queue that have neither a worker nor a message, and the segments whose messages were lost.
--
-- Every outstanding job is unfinished (see segment_issue.lua), so sizes tell whether there are orphans at all.
--
-- KEYS 1 outstanding   see segment_issue.lua
--      2 leases        see lease_hold.lua
--      3 … index       of the unfinished jobs in one state, one or more
-- ARGV 1 live          live workers of the queue
--      2 overdue after   ms
-- Returns {orphans, idle, overdue}: unfinished jobs that are neither outstanding nor leased; the number of live workers
-- without a lease; and as many jobs, oldest first, whose segment has been outstanding for longer than that.

--- @include "server_time"

local outstanding, leases = KEYS[1], KEYS[2]
local FIRST_INDEX = 3
local live, overdue_after = tonumber(ARGV[1]), tonumber(ARGV[2])

local now = server_time()
redis.call('zremrangebyscore', leases, '-inf', now)
local waiting, leased = redis.call('zcard', outstanding), redis.call('zrange', leases, 0, -1)

local unfinished, known, orphans = 0, waiting, {}
for i = FIRST_INDEX, #KEYS do
  local index = KEYS[i]
  unfinished = unfinished + redis.call('zcard', index)
  for _, job in ipairs(leased) do
    if redis.call('zscore', index, job) and not redis.call('zscore', outstanding, job) then known = known + 1 end
  end
end
if unfinished ~= known then
  for i = FIRST_INDEX, #KEYS do
    for _, job in ipairs(redis.call('zdiff', 3, KEYS[i], outstanding, leases)) do orphans[#orphans + 1] = job end
  end
end

local idle, overdue = math.max(0, live - #leased), {}
if idle > 0 and waiting > 0 then
  local oldest = redis.call('zrangebyscore', outstanding, '-inf', now - overdue_after, 'limit', 0, idle + #leased)
  for _, job in ipairs(oldest) do
    if #overdue < idle and not redis.call('zscore', leases, job) then overdue[#overdue + 1] = job end
  end
end
return {orphans, idle, overdue}
