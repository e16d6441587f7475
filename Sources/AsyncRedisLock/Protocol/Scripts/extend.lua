-- Prolongs all keys of a token to at least a ttl from now; never shortens, never creates.
-- KEYS: the lock's keys. ARGV: token, ttl in ms.
-- Returns 1, or 0 if a key is gone or another's; then nothing is changed.
local ttl = tonumber(ARGV[2])
for i = 1, #KEYS do
  local holder = redis.pcall('GET', KEYS[i])
  if type(holder) == 'table' and not string.find(holder.err, 'WRONGTYPE', 1, true) then
    return holder
  end
  if holder ~= ARGV[1] then
    return 0
  end
end
for i = 1, #KEYS do
  -- An extension left on an old connection may run after a longer one on the new.
  if redis.call('PTTL', KEYS[i]) < ttl then
    redis.call('PEXPIRE', KEYS[i], ttl)
  end
end
return 1
