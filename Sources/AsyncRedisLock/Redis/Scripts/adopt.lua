-- Takes all keys over from the token that holds them, or none.
-- KEYS: the lock's keys, then the fence counter if a number is to be drawn.
-- ARGV: the former token, the new one, ttl in ms, number of lock keys in KEYS, number of fencing tokens to draw.
-- Returns {1, the first of them or '', rest}, or {0, the holder's value, PTTL} of the first key with another holder.
-- rest: how long in ms the former token would have had all keys, or -1 if that is not known.
-- Keys that hold the new token already are prolonged: asking again must be safe.
-- include master.lua
local former, token, ttl, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 1, count do
  local holder = redis.call('GET', KEYS[i])
  if holder ~= former and holder ~= token then
    requireMaster(KEYS[i], holder)
    return {0, string.sub(holder or '', 1, 512), redis.call('PTTL', KEYS[i])}
  end
end
local fence = ''
if KEYS[count + 1] then
  local last = redis.call('INCRBY', KEYS[count + 1], ARGV[5])
  if last > 9007199254740991 then
    return redis.error_reply('ERR the fence counter is beyond 2^53 - 1')
  end
  -- As text with all its digits: Lua's own conversion loses some.
  fence = string.format('%.0f', last - ARGV[5] + 1)
end
local rest
for i = 1, count do
  local left = redis.call('PTTL', KEYS[i])
  local isOwn = redis.call('GET', KEYS[i]) == token
  rest = math.min(rest or left, isOwn and -1 or left)
  -- Not for as long as its former holder had it: the new holder gives it back by its own ttl.
  redis.call('SET', KEYS[i], token, 'PX', math.max(ttl, isOwn and left or 0))
end
return {1, fence, rest}
