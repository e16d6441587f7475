-- Returns a page of the strings in a database, or of the hashes, for tools that inspect the server.
-- ARGV: cursor, pattern, about how many keys to look at, the type of the keys. Returns {cursor, then for each key: its
-- bytes in hexadecimal, the first 512 bytes of its value, PTTL}, without keys that the user may not read. The value of a
-- hash is the token of a record; other hashes are left out.
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3], 'TYPE', ARGV[4])
local answer = {page[1]}
for _, key in ipairs(page[2]) do
  local value
  if ARGV[4] == 'hash' then
    value = redis.pcall('HGET', key, 'token')
  else
    value = redis.pcall('GETRANGE', key, 0, 511)
  end
  if type(value) == 'string' and value ~= '' then
    answer[#answer + 1] = string.gsub(key, '.', function(byte)
      return string.format('%02x', string.byte(byte))
    end)
    answer[#answer + 1] = string.sub(value, 1, 512)
    answer[#answer + 1] = redis.call('PTTL', key)
  end
end
return answer
