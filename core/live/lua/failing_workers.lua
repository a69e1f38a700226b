-- Included functions: sampling workers that fail to make images of a version. They are noted in the hash
-- `failing`, below `keys.queue`: worker, LF, version -> until when (ms) the worker takes no more of that version.
-- `keys.workers` is a hash: announced sampling workers -> until when (ms) each counts as live, and its metrics address.

local function is_failing(keys, worker, version, now)
  local paused = redis.call('hget', keys.queue .. 'failing', worker .. '\n' .. version)
  return paused and tonumber(paused) > now
end

-- How many live workers other than this one do not fail to make images of a version.
local function other_able_workers(keys, worker, version, now)
  local able, announced = 0, redis.call('hgetall', keys.workers)
  for i = 1, #announced, 2 do
    local is_live = tonumber(string.match(announced[i + 1], '^%d+')) > now
    if announced[i] ~= worker and is_live and not is_failing(keys, announced[i], version, now) then able = able + 1 end
  end
  return able
end

-- Whether a worker takes images of a version: one that fails leaves them to others, if there are any.
local function takes(keys, worker, version, now)
  return not is_failing(keys, worker, version, now) or other_able_workers(keys, worker, version, now) == 0
end
