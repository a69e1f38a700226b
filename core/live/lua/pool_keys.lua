-- Included function: the keys of one image pool. `prefix` is that of the pools' keys, `name` is VERSION LF DEFECT_TYPE.

local function pool_of(prefix, name)
  return {name = name, images = prefix .. 'images:' .. name, state = prefix .. 'state:' .. name}
end

-- Empties a pool that was filled in another run of the server: that one may have lost which images it gave out last.
local function empty_if_outdated(pool, pool_run, server_run)
  if pool_run == server_run then return end
  redis.call('del', pool.images)
  redis.call('hset', pool.state, 'run', server_run)
end
