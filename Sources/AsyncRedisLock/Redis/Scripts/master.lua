-- A function about replicas, for the scripts that include this file.
--
-- Raises the error of a read-only replica. Such a server runs a script until it writes, and may lag behind: its word
-- that a token has lost a key is worth nothing. So a write that changes nothing is tried before that is said, for a
-- key with its value, or false if it has none.
local function requireMaster(key, value)
  local write = value and {'SET', key, '', 'NX'} or {'DEL', key}
  local reply = redis.pcall(unpack(write))
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'READONLY', 1, true) then
    redis.call(unpack(write))
  end
end

