-- Records a run under a lock, for users that inspect the server; no decision depends on it.
-- KEYS: record. ARGV: token, milliseconds to keep the record, milliseconds since the lock was taken, fencing token
-- or ''; at the end of the run also how it ended, and the status. Returns 1, or 0 if the record belongs to a later
-- run.
local call, record = redis.call, KEYS[1]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local isOwn = call('HGET', record, 'token') == ARGV[1]
if ARGV[5] and not isOwn and call('EXISTS', record) == 1 then
  return 0
end
if not isOwn then
  call('DEL', record)
  call('HSET', record, 'token', ARGV[1], 'from', string.format('%.0f', now - ARGV[3]), 'fence', ARGV[4])
end
if ARGV[5] then
  call('HSET', record, 'until', string.format('%.0f', now), 'ended', ARGV[5], 'status', ARGV[6])
end
call('PEXPIRE', record, ARGV[2])
return 1
