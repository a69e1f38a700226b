-- Stores images in the cache of images by address, then removes the oldest while it exceeds its bound.
--
-- KEYS 1 by_age    sorted set: keys of the cached images, by when (µs) each was stored
--      2 bytes     string: bytes of all cached images
--      3 image     prefix of the cached images
-- ARGV 1 bound     most bytes of all cached images
--      2 … address, image    one or more pairs; the address is VERSION LF ADDRESS
-- Returns nothing.

local by_age, bytes, image = KEYS[1], KEYS[2], KEYS[3]
local bound = tonumber(ARGV[1])
local FIRST_PAIR = 2

local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
for i = FIRST_PAIR, #ARGV, 2 do
  local key = image .. ARGV[i]
  if redis.call('set', key, ARGV[i + 1], 'nx') then
    redis.call('zadd', by_age, now, key)
    redis.call('incrby', bytes, #ARGV[i + 1])
  end
end
while tonumber(redis.call('get', bytes) or 0) > bound do
  local oldest = redis.call('zpopmin', by_age)
  if not oldest[1] then
    redis.call('del', bytes)
    break
  end
  redis.call('decrby', bytes, redis.call('strlen', oldest[1]))
  redis.call('del', oldest[1])
end
