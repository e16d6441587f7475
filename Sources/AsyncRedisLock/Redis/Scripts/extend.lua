-- Prolongs the keys of some tokens to at least a ttl from now; never shortens, never creates.
-- KEYS: the keys of the first lock, of the next, …; then the fence counter if numbers are to be drawn.
-- ARGV: for each lock its token, ttl in ms and how many of KEYS are its own; then, for one lock only, how
-- many fencing tokens to draw.
-- Returns for each 1, or 0 if a key is gone or another's, and nothing of it is changed then; then the first
-- number as text, if any were drawn.
local outcome, first = {}, 1
for i = 1, #ARGV - 2, 3 do
  local token, ttl, last = ARGV[i], tonumber(ARGV[i + 1]), first + ARGV[i + 2] - 1
  local isOurs = 1
  for k = first, last do
    local holder = redis.pcall('GET', KEYS[k])
    if type(holder) == 'table' and not string.find(holder.err, 'WRONGTYPE', 1, true) then
      return holder
    end
    if holder ~= token then
      isOurs = 0
    end
  end
  if isOurs == 1 then
    for k = first, last do
      -- An extension left on an old connection may run after a longer one on the new.
      if redis.call('PTTL', KEYS[k]) < ttl then
        redis.call('PEXPIRE', KEYS[k], ttl)
      end
    end
  end
  outcome[#outcome + 1], first = isOurs, last + 1
end
if #ARGV % 3 == 1 and outcome[1] == 1 then
  local numbers = ARGV[#ARGV]
  -- As text with all its digits: Lua's own conversion loses some.
  outcome[2] = string.format('%.0f', redis.call('INCRBY', KEYS[#KEYS], numbers) - numbers + 1)
end
return outcome
