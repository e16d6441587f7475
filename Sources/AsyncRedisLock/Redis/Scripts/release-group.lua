-- Deletes each key that holds its token and has no waiters.
-- KEYS: key and queue of each lock. ARGV: their tokens.
-- Returns the positions of those that were left as they are: `release.lua` has more to do there, or to report.
local left = {}
for i, token in ipairs(ARGV) do
  local key = KEYS[2 * i - 1]
  if redis.pcall('GET', key) == token and redis.call('EXISTS', KEYS[2 * i]) == 0 then
    redis.call('DEL', key)
  else
    left[#left + 1] = i
  end
end
return left
