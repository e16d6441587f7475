-- Deletes each key that holds its token and has no waiters.
-- KEYS: key and queue of each lock. ARGV: their tokens.
-- Returns the positions of those that were left as they are: `release.lua` has more to do there, or to report.
-- Raises no error: one behind the first deletion would leave open which locks were still there.
local left = {}
for i, token in ipairs(ARGV) do
  local key = KEYS[2 * i - 1]
  local mayDelete = redis.pcall('GET', key) == token and redis.pcall('EXISTS', KEYS[2 * i]) == 0
  if not mayDelete or type(redis.pcall('DEL', key)) ~= 'number' then
    left[#left + 1] = i
  end
end
return left
