-- Puts images into a pool. Does nothing when the same call came before, the server was restarted since the seeds were
-- reserved, or the pool was dropped. A client whose answer was cut off repeats its call, and an image that is in the
-- pool twice would be given out twice.
--
-- KEYS 1 call      string: there while the call may be repeated
--      2 pools     prefix of the pools' keys; see core/live/image_pool.py
-- ARGV 1 push      'rpush' (made ahead) or 'lpush' (given back: the next to be taken)
--      2 pool      name
--      3 repeat    ms in which the call may be repeated
--      4 run       the server's run in which the seeds were reserved
--      5 … item    "seed:png", one or more
-- Returns nothing.

--- @include "server_run"
--- @include "pool_keys"

local call, pools = KEYS[1], KEYS[2]
local push, pool, repeat_ms, reserved_in = ARGV[1], pool_of(pools, ARGV[2]), ARGV[3], ARGV[4]
local FIRST_ITEM = 5
local run = server_run()

if run ~= reserved_in or not redis.call('set', call, 1, 'nx', 'px', repeat_ms) then return end
if not redis.call('zscore', pools .. 'names', pool.name) then return end
empty_if_outdated(pool, redis.call('hget', pool.state, 'run'), run)
local bytes = 0
for i = FIRST_ITEM, #ARGV do bytes = bytes + #ARGV[i] end
redis.call(push, pool.images, unpack(ARGV, FIRST_ITEM))
redis.call('hset', pool.state, 'item_bytes', bytes / (#ARGV - FIRST_ITEM + 1))
