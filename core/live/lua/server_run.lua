-- Included function: the run id of the Redis server, which every restart changes.

local function server_run()
  return string.match(redis.call('info', 'server'), 'run_id:(%x+)')
end
