-- Deletes the keys that hold a token, and leaves the others alone.
-- KEYS: the lock's keys. ARGV: token.
-- Returns 1 if all were deleted; else -1 if one is another's, 0 if one is gone.
local outcome = 1
for i = 1, #KEYS do
  local holder = redis.pcall('GET', KEYS[i])
  if type(holder) == 'table' and not string.find(holder.err, 'WRONGTYPE', 1, true) then
    return holder
  end
  if holder == ARGV[1] then
    redis.call('DEL', KEYS[i])
  elseif holder then
    outcome = -1
  elseif outcome == 1 then
    outcome = 0
  end
end
return outcome
