-- Notes that a worker failed to make images of a version, and gives back its micro-batch of them: each address once,
-- for another worker. The addresses that nobody is left to make stay in flight; the worker delivers why.
--
-- KEYS 1 queue     prefix of the queue's keys
--      2 sampler   see wake_sampler.lua
--      3 workers   see wake_sampler.lua
-- ARGV 1 worker
--      2 version
--      3 number    of the micro-batch; empty: there is none
--      4 pause     ms in which the worker takes no more of the version
-- Returns {wake, address …}: wake = 1: send a message that starts a sampling task; the addresses that stay in flight.

--- @include "server_time"
--- @include "queued_addresses"
--- @include "failing_workers"
--- @include "wake_sampler"

local keys = {queue = KEYS[1], sampler = KEYS[2], workers = KEYS[3]}
local worker, version, number, pause = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local queue, now = keys.queue, server_time()
local in_flight, returned = queue .. 'in-flight:' .. worker, queue .. version .. ':returned'

redis.call('hset', queue .. 'failing', worker .. '\n' .. version, string.format('%.0f', now + pause))
local others, left, answer = other_able_workers(keys, worker, version, now), {}, {0}
local batch = redis.call('hget', in_flight, number)
for address in string.gmatch(batch and string.match(batch, '^[^\n]*\n(.*)$') or '', '[^\n]+') do
  local subscribers = redis.call('hget', queue .. version .. ':subscribers', address)
  if subscribers then
    if others > 0 and redis.call('sadd', returned, address) == 1 then
      push_address(queue, version, string.match(subscribers, '^[^\t]*'), address, true)
      answer[1] = 1
    else
      left[#left + 1], answer[#answer + 1] = address, address
    end
  end
end
if #left > 0 then
  redis.call('hset', in_flight, number, version .. '\n' .. table.concat(left, '\n'))
else
  redis.call('hdel', in_flight, number)
end
-- Even where another worker is active: this one is, too, and does not take them.
if answer[1] == 1 then answer[1] = wake_sampler(keys, now, math.huge) end
return answer
