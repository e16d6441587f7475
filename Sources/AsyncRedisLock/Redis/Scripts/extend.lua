-- Prolongs the keys of some tokens to at least a ttl from now; never creates keys, and shortens only those it is
-- told to.
-- KEYS: the keys of the first lock, of the next, …; then the fence counter if numbers are to be drawn.
-- ARGV: for each lock its token, its ttl in ms and the number of its keys in KEYS; then, for one lock only, the
-- number of fencing tokens to draw. A ttl may be followed by a space and the longest ttl that the lock ever asked
-- for. Keys that last a minute longer, because the server's clock was set back, are cut to that.
-- Returns for each lock 1, or the PTTL of a key that lasts more than a minute longer than its ttl. If a key is
-- gone, returns 0; if one has another holder, its value. Nothing of that lock is changed then. Then follows the
-- first number as text, if any were drawn.
-- include master.lua
local outcome, first = {}, 1
for i = 1, #ARGV - 2, 3 do
  local token, ttl, last = ARGV[i], tonumber(ARGV[i + 1]), first + ARGV[i + 2] - 1
  local longest
  if not ttl then
    ttl, longest = string.match(ARGV[i + 1], '^(%d+) (%d+)$')
    ttl, longest = tonumber(ttl), math.max(tonumber(ttl), tonumber(longest))
  end
  local state = 1
  for k = first, last do
    local holder = redis.pcall('GET', KEYS[k])
    if type(holder) == 'table' and not string.find(holder.err, 'WRONGTYPE', 1, true) then
      return holder
    end
    if holder ~= token then
      requireMaster(KEYS[k], holder)
      local other = holder and (type(holder) == 'string' and string.sub(holder, 1, 512) or '')
      state = type(state) == 'string' and state or other or 0
    end
  end
  if state == 1 then
    for k = first, last do
      local left = redis.call('PTTL', KEYS[k])
      -- An extension left on an old connection may run after a longer one on the new.
      if left < ttl then
        redis.call('PEXPIRE', KEYS[k], ttl)
      elseif longest and left > longest + 60000 then
        redis.call('PEXPIRE', KEYS[k], longest)
      elseif left > ttl + 60000 then
        -- A longer time, which another client may set, is none that the caller could use.
        state = math.min(left, 315360000000)
      end
    end
  end
  outcome[#outcome + 1], first = state, last + 1
end
if #ARGV % 3 == 1 and type(outcome[1]) == 'number' and outcome[1] > 0 then
  local numbers = ARGV[#ARGV]
  local last = redis.call('INCRBY', KEYS[#KEYS], numbers)
  if last <= 9007199254740991 then
    -- As text with all its digits: Lua's own conversion loses some.
    outcome[2] = string.format('%.0f', last - numbers + 1)
  end
end
return outcome
