-- Prolongs all keys of a token to at least a ttl from now; never shortens, never creates.
-- KEYS: the lock's keys, then the fence counter if numbers are to be drawn.
-- ARGV: token, ttl in ms, how many of KEYS are the lock's, how many fencing tokens to draw.
-- Returns 1, or the first number as text; 0 if a key is gone or another's, and nothing is changed then.
local ttl, count, numbers = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 1, count do
  local holder = redis.pcall('GET', KEYS[i])
  if type(holder) == 'table' and not string.find(holder.err, 'WRONGTYPE', 1, true) then
    return holder
  end
  if holder ~= ARGV[1] then
    return 0
  end
end
for i = 1, count do
  -- An extension left on an old connection may run after a longer one on the new.
  if redis.call('PTTL', KEYS[i]) < ttl then
    redis.call('PEXPIRE', KEYS[i], ttl)
  end
end
if numbers == 0 then
  return 1
end
-- As text with all its digits: Lua's own conversion loses some.
return string.format('%.0f', redis.call('INCRBY', KEYS[count + 1], numbers) - numbers + 1)
