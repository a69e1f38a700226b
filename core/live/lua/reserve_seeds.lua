-- Included function: reserves consecutive seeds that no caller was given before.
--
-- Arguments:
--   key     hash: `next`, the next free seed; `run`, the server's run that counted it
--   count   seeds to reserve
--   floor   above every seed that an earlier run can have given out, whatever it lost
--   run     the server's run id
-- Returns the first seed as text: it has more digits than Redis gives back of a number.

local function reserve_seeds(key, count, floor, run)
  local kept = redis.call('hmget', key, 'next', 'run')
  local first = tonumber(kept[1])
  if not first or kept[2] ~= run then first = math.max(first or 0, floor) end
  redis.call('hset', key, 'next', string.format('%.0f', first + count), 'run', run)
  return string.format('%.0f', first)
end
