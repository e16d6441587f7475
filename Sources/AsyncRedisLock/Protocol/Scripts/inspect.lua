-- Who holds a key, and for how long.
-- KEYS: the key. Returns {value, PTTL}, or false if the key is free.
local holder = redis.call('GET', KEYS[1])
if not holder then
  return false
end
return {string.sub(holder, 1, 512), redis.call('PTTL', KEYS[1])}
