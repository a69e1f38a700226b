-- Delivers the payloads of a micro-batch to every subscriber, through the inboxes of their API processes.
--
-- KEYS 1 queue     prefix of the queue's keys
--      2 inbox     prefix of the inboxes
-- ARGV 1 worker
--      2 number    of the micro-batch
--      3 version
--      4 rate      images a second that the worker measured; 0: unknown
--      5 expiry    seconds that an inbox is kept after its last payload
--      6 … address, payload    one or more pairs
-- Returns the requests that received something, one entry for each payload.

--- @include "queued_addresses"

local queue, inbox = KEYS[1], KEYS[2]
local worker, number, version, rate, expiry = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local FIRST_PAIR = 6

local requests = {}
for i = FIRST_PAIR, #ARGV, 2 do
  local address, payload = ARGV[i], ARGV[i + 1]
  local subscribers = forget_address(queue, version, address)
  for api_process, kind_and_request in string.gmatch(subscribers or '', '\t([^\t/]*)/([^\t]*)') do
    local request = string.sub(kind_and_request, 2)
    redis.call('rpush', inbox .. api_process, request .. '\n' .. address .. '\n' .. payload)
    redis.call('expire', inbox .. api_process, expiry)
    requests[#requests + 1] = request
  end
end
redis.call('hdel', queue .. 'in-flight:' .. worker, number)
if tonumber(rate) > 0 then redis.call('hset', queue .. 'rates', version, rate) end
return requests
