-- Takes images of one version out of its pools, each image once, and reserves seeds for those that are not ready.
-- Several defect types take turns, and the turns go on over calls.
--
-- KEYS 1 next_type  string: position in the round of defect types
--      2 pools      prefix of the pools' keys; see core/live/image_pool.py
--      3 next_seed  prefix of the hashes that count seeds; see reserve_seeds.lua
--      4 sampler    see wake_sampler.lua
--      5 workers    see wake_sampler.lua
-- ARGV 1 count      images
--      2 floor      see reserve_seeds.lua
--      3 ready      1: take ready images; 0: reserve seeds only, and leave the pools as they are
--      4 … pool     names, one for each defect type in the round
-- Returns {turn, wake, then for each pool: items, first seed; run}: `turn` is the first image's position in the round;
-- wake = 1: send a message that starts a sampling task; items are "seed:png"; the seeds from "first seed" on are for
-- the images that were not ready; `run` is the server's run id.

--- @include "server_time"
--- @include "server_run"
--- @include "wake_sampler"
--- @include "pool_keys"
--- @include "reserve_seeds"

local keys = {next_type = KEYS[1], pools = KEYS[2], next_seed = KEYS[3], sampler = KEYS[4], workers = KEYS[5]}
local count, floor, ready = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local FIRST_POOL = 4
local types = #ARGV - FIRST_POOL + 1
local now, run = server_time(), server_run()

-- How many of `count` images in turn, the first at position `turn`, are of this type (from 0).
local function share(type, turn)
  local first = (type - turn) % types
  if first >= count then return 0 end
  return math.floor((count - 1 - first) / types) + 1
end

-- Up to `wanted` ready images, and whether the pool has fallen to its low-water mark.
local function take(pool, wanted)
  local state = redis.call('hmget', pool.state, 'run', 'low')
  empty_if_outdated(pool, state[1], run)
  local items = redis.call('lpop', pool.images, wanted) or {}
  redis.call('hincrby', pool.state, 'asked', wanted)
  redis.call('zadd', keys.pools .. 'names', now, pool.name)
  return items, redis.call('llen', pool.images) <= tonumber(state[2] or 0)
end

local turn = types > 1 and redis.call('incrby', keys.next_type, count) - count or 0
local answer, is_low = {string.format('%.0f', turn), 0}, false
for type = 0, types - 1 do
  local name, wanted = ARGV[FIRST_POOL + type], share(type, turn)
  local items, first_seed = {}, '0'
  if wanted > 0 and ready then
    local low
    items, low = take(pool_of(keys.pools, name), wanted)
    is_low = is_low or low
  end
  if #items < wanted then first_seed = reserve_seeds(keys.next_seed .. name, wanted - #items, floor, run) end
  answer[#answer + 1] = items
  answer[#answer + 1] = first_seed
end
if is_low then answer[2] = wake_sampler(keys, now, 0) end
answer[#answer + 1] = run
return answer
