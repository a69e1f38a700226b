-- Included function: the keys of one image pool, which is named VERSION LF DEFECT_TYPE. `keys` has the prefixes.

local function pool_of(keys, name)
  return {name = name, images = keys.images .. name, state = keys.state .. name}
end

-- Empties a pool that was filled in another run of the server: that one may have lost which images it gave out last.
local function empty_if_outdated(pool, pool_run, server_run)
  if pool_run == server_run then return end
  redis.call('del', pool.images)
  redis.call('hset', pool.state, 'run', server_run)
end
