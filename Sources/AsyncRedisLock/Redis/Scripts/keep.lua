-- Lets keys of a token that was released too early last for a time from now, and no longer.
-- KEYS: the keys. ARGV: token, how long they last in ms.
-- Returns {outcome, 0}. outcome: 1 if all were the token's; else -1 if one has another holder, whose value is then
-- a third element; else 0 if one is gone.
-- include master.lua
local outcome, other = 1, nil
for _, key in ipairs(KEYS) do
  local value = redis.pcall('GET', key)
  if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
    return value
  end
  if value == ARGV[1] then
    redis.call('PEXPIRE', key, ARGV[2])
  else
    requireMaster(key, value)
    if value then
      outcome, other = -1, other or type(value) == 'string' and string.sub(value, 1, 512) or ''
    else
      outcome = math.min(outcome, 0)
    end
  end
end
return {outcome, 0, other}
