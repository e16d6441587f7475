-- Raises the fence counter to the server's time in microseconds and to the largest number that the caller has seen;
-- then draws a number. So a lost counter gives out no number twice.
-- KEYS: the counter, then the keys of a lock. ARGV: largest number seen, the lock's token.
-- Returns the number as text, or false if a key of the lock does not hold the token. Without a token, further keys mean
-- nothing, except to a node of a cluster, which runs no script for keys in several slots.
-- include master.lua
for i = 2, ARGV[2] ~= '' and #KEYS or 1 do
  local holder = redis.call('GET', KEYS[i])
  if holder ~= ARGV[2] then
    requireMaster(KEYS[i], holder)
    return false
  end
end
local time = redis.call('TIME')
local counter = tonumber(redis.call('GET', KEYS[1]) or 0)
local floor = math.max(counter, tonumber(ARGV[1]), time[1] * 1000000 + time[2])
if floor > 9007199254740991 then
  return redis.error_reply('ERR the fence counter is beyond 2^53 - 1')
end
if floor > counter then
  -- As text with all its digits: Lua's own conversion loses some.
  redis.call('SET', KEYS[1], string.format('%.0f', floor))
end
return string.format('%.0f', redis.call('INCR', KEYS[1]))
