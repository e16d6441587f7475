-- Takes a lock away from whoever holds it. A key of another type is no lock, and is left alone.
-- KEYS: the key. Returns the holder's value, or false if the key was free.
local holder = redis.call('GET', KEYS[1])
if not holder then
  return false
end
redis.call('DEL', KEYS[1])
return string.sub(holder, 1, 512)
