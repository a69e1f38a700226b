-- Plans the pools: averages each one's demand, decides how many images it should hold, drops idle pools, cuts those
-- that outgrew their bytes, and finds the pool that lacks the largest part of what it should hold.
--
-- KEYS 1 pools         prefix of the pools' keys; see core/live/image_pool.py
--      2 next_seed     prefix of the hashes that count seeds; see reserve_seeds.lua
--      3 sampler       see wake_sampler.lua
--      4 workers       see wake_sampler.lua
-- ARGV 1 action        'refill': reserve seeds for the neediest pool; 'check': say whether to wake the sampler
--      2 version       only pools of this version are refilled; empty: any
--      3 most          images in one refill
--      4 least         images that a pool should hold at least
--      5 floor         see reserve_seeds.lua
--      6 model_bytes   bound on the images of one model
--      7 all_bytes     bound on the images of all models
--      8 idle          seconds after which a pool that was not asked for images is dropped
--      9 cover         seconds of demand that a pool should hold
--     10 average       seconds over which the demand is averaged
--     11 … excluded    versions whose pools are not refilled
-- Returns 'refill': {pool, first seed, images, run}, or nil when no pool needs images.
--         'check': 1 (send a message that starts a sampling task), 0, or nil when no pool needs images.

--- @include "server_time"
--- @include "server_run"
--- @include "wake_sampler"
--- @include "pool_keys"
--- @include "reserve_seeds"

local keys = {pools = KEYS[1], next_seed = KEYS[2], sampler = KEYS[3], workers = KEYS[4]}
local action, version, most, least = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local floor, model_bytes, all_bytes = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local idle, cover, average = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local UNKNOWN_ITEM_BYTES = 16384 -- assumed until a pool's first images are there
local LOW = 0.5 -- of what a pool should hold: less wakes the sampler
local SHORTEST_S = 0.5 -- between two updates of a rate
local FIRST_EXCLUDED = 11
local names = keys.pools .. 'names'
local now, run = server_time(), server_run()

local function drop_idle_pools()
  for _, name in ipairs(redis.call('zrangebyscore', names, '-inf', now - idle * 1000)) do
    local pool = pool_of(keys.pools, name)
    redis.call('del', pool.images, pool.state)
    redis.call('zrem', names, name)
  end
end

-- Images a second that a pool is asked for, an exponential average.
local function demand(pool, asked, rate, at)
  local seconds = (now - at) / 1000
  if seconds < SHORTEST_S then return rate end
  local weight = 1 - math.exp(-seconds / average)
  rate = rate + (asked / seconds - rate) * weight
  redis.call('hset', pool.state, 'asked', 0, 'rate', rate, 'at', now)
  return rate
end

-- The pool with its model and the bytes that it would hold if there were no bounds.
local function measured(name)
  local pool = pool_of(keys.pools, name)
  local state = redis.call('hmget', pool.state, 'asked', 'rate', 'at', 'item_bytes', 'run')
  empty_if_outdated(pool, state[5], run)
  local rate = demand(pool, tonumber(state[1] or 0), tonumber(state[2] or 0), tonumber(state[3] or now - 1000))
  pool.model = string.match(name, '^[^@]*')
  pool.item_bytes, pool.is_measured = tonumber(state[4] or UNKNOWN_ITEM_BYTES), state[4]
  pool.wanted_bytes = math.max(least, rate * cover) * pool.item_bytes
  return pool
end

-- Sets what a pool should hold, as its share of the bounds, and cuts what is beyond. Returns the images that it lacks
-- (0: none that are worth a refill) and the part of its target that it holds.
local function adjusted(pool, share)
  local target = math.floor(pool.wanted_bytes * share / pool.item_bytes)
  if not pool.is_measured then target = math.max(target, most) end
  redis.call('hset', pool.state, 'target', target, 'low', math.floor(target * LOW))
  local held = redis.call('llen', pool.images)
  local lacking = math.min(most, target - held)
  if target == 0 then
    redis.call('del', pool.images)
  elseif held > target and share < 1 then
    redis.call('ltrim', pool.images, 0, target - 1)
  elseif lacking == most or held == 0 then
    return lacking, held / target
  end
  return 0, 1
end

local function is_eligible(pool)
  local of_version = string.match(pool.name, '^[^\n]*')
  for i = FIRST_EXCLUDED, #ARGV do
    if ARGV[i] == of_version then return false end
  end
  return version == '' or version == of_version
end

drop_idle_pools()
local pools, wanted_by_model, wanted = {}, {}, 0
for _, name in ipairs(redis.call('zrange', names, 0, -1)) do
  local pool = measured(name)
  pools[#pools + 1] = pool
  wanted_by_model[pool.model] = (wanted_by_model[pool.model] or 0) + pool.wanted_bytes
end
for _, bytes in pairs(wanted_by_model) do wanted = wanted + math.min(bytes, model_bytes) end
local neediest, least_filled, needed = nil, 1, 0
for _, pool in ipairs(pools) do
  local share = math.min(1, model_bytes / wanted_by_model[pool.model]) * math.min(1, all_bytes / wanted)
  local lacking, filled = adjusted(pool, share)
  if lacking > 0 and filled < least_filled and is_eligible(pool) then
    neediest, least_filled, needed = pool.name, filled, lacking
  end
end
if not neediest then return nil end
if action == 'refill' then
  return {neediest, reserve_seeds(keys.next_seed .. neediest, needed, floor, run), tostring(needed), run}
end
if least_filled <= LOW then return wake_sampler(keys, now, 0) end
return 0
