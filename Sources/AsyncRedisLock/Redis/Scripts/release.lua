-- Deletes the keys that hold a token, leaves the others alone, and hands on those that are free.
-- ARGV: prefix, token, and 1 if the token may have a place in the queues, which it gives up.
-- Returns {outcome, handed}. outcome: 1 if all were deleted; else -1 if one has another holder, whose value is
-- then a third element; else 0 if one is gone. handed: 1 if a waiter got a key and a notice of it, 2 if a key is only
-- reserved for one, -1 if a waiter could not be notified, else 0.
--
-- Raises no error once a key is deleted: an error means that nothing was released.
--
-- Most calls release one key without waiters, or one with a waiter that wants no other key. The code below does
-- that in a straight line, without the functions, and returns the same. The number of the request alone means
-- {1, 0}.
if #KEYS == 4 and #ARGV == 3 and ARGV[1] ~= '' and redis.pcall('GET', KEYS[1]) == ARGV[2] then
  local call, key, question = redis.pcall, KEYS[1], tonumber(ARGV[3])
  local head = call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  local waiter, ticket = head[1], tonumber(head[2])
  if not waiter and not head.err then
    redis.call('DEL', key)
    return question
  end
  local entry = waiter and call('HGET', KEYS[3], waiter)
  local text = type(entry) == 'string' and entry or ''
  local lapse, ttl, numbers = string.match(text, '^(%d+) (%d+) (%d+) $')
  local locker = string.match(waiter or '', '^%w+:[^:]*:[^:]*:[^:]*:(%x+):')
  if lapse and locker then
    -- As `slotTag` in queue.lua.
    local tag = string.match(KEYS[4], '{%d+}$')
    local time, inbox = call('TIME'), ARGV[1] .. 'inbox:' .. (tag and tag .. ':' or '') .. locker
    local isDue = not time.err and tonumber(lapse) >= time[1] * 1000 + math.floor(time[2] / 1000)
    local subscribers = isDue and call('PUBSUB', tag and 'SHARDNUMSUB' or 'NUMSUB', inbox) or {err = ''}
    local drawn = not subscribers.err and subscribers[2] > 0 and call('INCRBY', KEYS[4], numbers)
    local first = type(drawn) == 'number' and drawn <= 9007199254740991 and drawn - numbers + 1
    -- As `mayRemove` in queue.lua.
    local mayRemove = first and type(call('ZREM', KEYS[2], '')) == 'number'
      and type(call('HDEL', KEYS[3], '')) == 'number'
    if mayRemove and first > ticket and not call('SET', key, waiter, 'PX', ttl).err then
      local grant = string.format('%.0f %s %s %d:', first, numbers, waiter, #key) .. key
      if type(call(tag and 'SPUBLISH' or 'PUBLISH', inbox, grant)) == 'table' then
        redis.call('DEL', key)
        return {question, {1, -1}}
      end
      call('ZREM', KEYS[2], waiter)
      call('HDEL', KEYS[3], waiter, waiter .. '!', waiter .. '@')
      return {question, {1, 1}}
    end
  end
end
-- answer
-- include master.lua
-- include queue.lua
local token, locks = ARGV[2], locks()
local outcome, free, other, values = 1, {}, nil, {}
-- All of them before the first is deleted.
for i, lock in ipairs(locks) do
  local value = redis.pcall('GET', lock.key)
  if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
    return value
  end
  if value ~= token then
    requireMaster(lock.key, value)
  end
  values[i] = value
end
for i, lock in ipairs(locks) do
  local value = values[i]
  if value == token then
    call('DEL', lock.key)
    free[#free + 1] = lock
  elseif value then
    outcome, other = -1, other or type(value) == 'string' and string.sub(value, 1, 512) or ''
  else
    free[#free + 1] = lock
    outcome = math.min(outcome, 0)
  end
end
if ARGV[3] and prefix ~= '' then
  for _, lock in ipairs(locks) do
    -- A party that may not queue has no place, and must be able to give its keys back.
    pcall(leave, lock, token)
  end
end
return {outcome, serve(free), other}
