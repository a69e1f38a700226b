-- Puts images into a pool. Does nothing when the same call came before, the server was restarted since the seeds were
-- reserved, or the pool was dropped. A client whose answer was cut off repeats its call, and an image that is in the
-- pool twice would be given out twice.
--
-- KEYS 1 call      string: there while the call may be repeated
--      2 pools     sorted set: names of the pools
--      3 images    prefix of the pools' lists of images
--      4 state     prefix of the pools' hashes
-- ARGV 1 push      'rpush' (made ahead) or 'lpush' (given back: the next to be taken)
--      2 pool      name
--      3 repeat    ms in which the call may be repeated
--      4 run       the server's run in which the seeds were reserved
--      5 … item    "seed:png", one or more
-- Returns nothing.

--- @include "server_run"
--- @include "pool_keys"

local call = KEYS[1]
local keys = {pools = KEYS[2], images = KEYS[3], state = KEYS[4]}
local push, pool, repeat_ms, reserved_in = ARGV[1], pool_of(keys, ARGV[2]), ARGV[3], ARGV[4]
local FIRST_ITEM = 5
local run = server_run()

if run ~= reserved_in or not redis.call('set', call, 1, 'nx', 'px', repeat_ms) then return end
if not redis.call('zscore', keys.pools, pool.name) then return end
empty_if_outdated(pool, redis.call('hget', pool.state, 'run'), run)
local bytes = 0
for i = FIRST_ITEM, #ARGV do bytes = bytes + #ARGV[i] end
redis.call(push, pool.images, unpack(ARGV, FIRST_ITEM))
redis.call('hset', pool.state, 'item_bytes', bytes / (#ARGV - FIRST_ITEM + 1))
