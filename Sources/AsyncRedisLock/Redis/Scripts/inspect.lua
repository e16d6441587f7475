-- Returns the holder of a key, the time left, and the waiters.
-- KEYS: key; queue and entries, unless the caller may not use them. Returns {value, PTTL, number of waiters, up to
-- 100 of their tokens, whether the key is only reserved for a waiter}, or false if the key is free.
local holder = redis.call('GET', KEYS[1])
if not holder then
  return false
end
local waiters, count = {}, 0
local time = KEYS[2] and redis.call('TIME') or {0, 0}
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, token in ipairs(KEYS[2] and redis.call('ZRANGE', KEYS[2], 0, -1) or {}) do
  local lapse = string.match(redis.call('HGET', KEYS[3], token) or '', '^%d+')
  if token ~= holder and lapse and tonumber(lapse) >= now then
    count = count + 1
    if count <= 100 then
      waiters[count] = string.sub(token, 1, 512)
    end
  end
end
local isReserved = KEYS[3] and redis.call('HGET', KEYS[3], holder) and 1 or 0
return {string.sub(holder, 1, 512), redis.call('PTTL', KEYS[1]), count, waiters, isReserved}
