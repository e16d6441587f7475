-- Tries the commands that locks need, on a key that nobody uses.
-- KEYS: the key. Returns 1, or the name of the first command that fails, and why.
local key = KEYS[1]
local commands = {
  {'SET', key, '0', 'NX', 'PX', 1000}, {'GET', key}, {'GETRANGE', key, 0, 1}, {'PTTL', key},
  {'INCR', key}, {'INCRBY', key, 1}, {'PEXPIRE', key, 1000}, {'TIME'}, {'DEL', key},
}
for _, command in ipairs(commands) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    return command[1] .. ': ' .. answer.err
  end
end
return 1
