-- Deletes the keys that hold a token, leaves the others alone, and hands on what is free.
-- ARGV: prefix, token, and 1 if the token may have a place in the queues, which it gives up.
-- Returns {outcome, handed}. outcome: 1 if all were deleted; else -1 if one is another's, 0 if one is gone.
-- handed: 1 if somebody got a key, -1 if somebody waits and could not be told, else 0.
-- Most release one key that nobody waits for: that is done at once, and the number of the question says {1, 0}.
if #KEYS == 4 and #ARGV == 3 and ARGV[1] ~= '' and redis.pcall('GET', KEYS[1]) == ARGV[2]
  and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[1])
  return tonumber(ARGV[3])
end
-- answer
-- include queue.lua
local token, locks = ARGV[2], locks()
local outcome, free = 1, {}
for _, lock in ipairs(locks) do
  local value = redis.pcall('GET', lock.key)
  if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
    return value
  end
  if value == token then
    call('DEL', lock.key)
    free[#free + 1] = lock
  elseif value then
    outcome = -1
  else
    free[#free + 1] = lock
    outcome = math.min(outcome, 0)
  end
end
if ARGV[3] and prefix ~= '' then
  for _, lock in ipairs(locks) do
    -- Who may not queue has no place, and must be able to give its keys back.
    pcall(leave, lock, token)
  end
end
return {outcome, serve(free)}
