-- Tries the commands that locks need, on an unused key.
-- KEYS: the key. ARGV: 1 if fencing tokens are drawn. Returns 1, or the first command that fails, and why.
local key = KEYS[1]
local commands = {
  {'SET', key, '0', 'NX', 'PX', 1000}, {'GET', key}, {'GETRANGE', key, 0, 1}, {'PTTL', key},
  {'PEXPIRE', key, 1000}, {'TIME'}, {'DEL', key},
}
if ARGV[1] == '1' then
  table.insert(commands, 2, {'INCR', key})
  table.insert(commands, 3, {'INCRBY', key, 1})
end
for _, command in ipairs(commands) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    -- DEL may be what fails.
    redis.pcall('SET', key, '0', 'PX', 1)
    return {command[1], answer.err}
  end
end
return 1
