-- Included function: the Redis server's clock, which all machines share.
--
-- Returns milliseconds since 1970 as a number.

local function server_time()
  local time = redis.call('time')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
