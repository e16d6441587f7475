-- Takes all keys for a token, or none.
-- KEYS: the lock's keys, then the fence counter if a number is to be drawn.
-- ARGV: token, ttl in ms, number of lock keys in KEYS, number of fencing tokens to draw.
-- Returns {1, the first of them or ''}, or {0, the holder's value, PTTL} of the first key that is held.
-- Keys that hold the token already are prolonged: asking again must be safe.
-- include master.lua
local token, ttl, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
for i = 1, count do
  local holder = redis.call('GET', KEYS[i])
  if holder and holder ~= token then
    requireMaster(KEYS[i], holder)
    return {0, string.sub(holder, 1, 512), redis.call('PTTL', KEYS[i])}
  end
end
local fence = ''
if KEYS[count + 1] then
  local last = redis.call('INCRBY', KEYS[count + 1], ARGV[4])
  if last > 9007199254740991 then
    return redis.error_reply('ERR the fence counter is beyond 2^53 - 1')
  end
  -- As text with all its digits: Lua's own conversion loses some.
  fence = string.format('%.0f', last - ARGV[4] + 1)
end
for i = 1, count do
  redis.call('SET', KEYS[i], token, 'PX', ttl)
end
return {1, fence}
