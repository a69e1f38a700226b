-- Removes a subscriber from addresses. An address without subscribers is no longer made, and leaves the queue at once.
--
-- KEYS 1 queue        prefix of the queue's keys
-- ARGV 1 version
--      2 subscriber   as it was enqueued
--      3 … address    one or more
-- Returns nothing.

--- @include "queued_addresses"

local queue = KEYS[1]
local version, subscriber = ARGV[1], ARGV[2]
local FIRST_ADDRESS = 3

local subscribers = queue .. version .. ':subscribers'
local forgotten = {} -- caller -> its addresses that nobody waits for
for i = FIRST_ADDRESS, #ARGV do
  local address = ARGV[i]
  local known = redis.call('hget', subscribers, address)
  if known then
    local caller = string.match(known, '^[^\t]*')
    local remaining, count = caller, 0
    for each in string.gmatch(known, '\t([^\t]*)') do
      if each ~= subscriber then remaining, count = remaining .. '\t' .. each, count + 1 end
    end
    if count == 0 then
      forget_address(queue, version, address)
      forgotten[caller] = forgotten[caller] or {}
      forgotten[caller][address] = true
    else
      redis.call('hset', subscribers, address, remaining)
    end
  end
end
for caller, addresses in pairs(forgotten) do remove_addresses(queue, version, caller, addresses) end
