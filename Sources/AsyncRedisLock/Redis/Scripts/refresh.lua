-- Keeps the places of some tokens of one locker that wait for one key each; takes and grants nothing.
-- KEYS as in queue.lua. ARGV: prefix, the largest fencing token that the caller has seen; then for each key the
-- token and for how many ms its place is kept without a further request.
-- Returns the fence counter, and for each key the holder's value and its PTTL; the value is '' where only a poll
-- can tell what to do.
-- include queue.lua
local now = milliseconds()
local counter = token53(call('GET', fence))
-- A lost counter has to be raised; a caller that cannot be notified has to learn that.
local isAsExpected = counter >= token53(ARGV[2]) and hears(ARGV[3])

-- Keeps a place; returns the holder's value, or nil if a poll is needed.
local function keep(lock, token, lapse)
  local value = holder(lock)
  if not value or value == token or string.sub(value, 1, 5) ~= 'rl1n:' then
    return nil
  end
  -- A holder that waits in the key's queue has the key reserved, and may lose it again.
  local entry = call('ZSCORE', lock.queue, token) and call('HGET', lock.entries, token)
  if not entry or call('ZSCORE', lock.queue, value) then
    return nil
  end
  local _, ttl, numbers, keys = parse(entry)
  call('HSET', lock.entries, token, text(now + lapse) .. ' ' .. ttl .. ' ' .. numbers .. ' ' .. keys)
  if call('PTTL', lock.queue) < lapse then
    call('PEXPIRE', lock.queue, 2 * lapse)
    call('PEXPIRE', lock.entries, 2 * lapse)
  end
  return string.sub(value, 1, 512)
end

local answer = {text(counter)}
for i, lock in ipairs(locks()) do
  local value = isAsExpected and keep(lock, ARGV[2 * i + 1], tonumber(ARGV[2 * i + 2]))
  answer[2 * i] = value or ''
  answer[2 * i + 1] = value and call('PTTL', lock.key) or -1
end
return answer
