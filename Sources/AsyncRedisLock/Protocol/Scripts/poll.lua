-- Takes all keys for a token, or keeps its place in their queues. Asking again is always safe.
-- ARGV: prefix, token, ttl in ms, for how many ms a place is kept without a further poll, how many
-- fencing tokens to draw, the largest fencing token that the caller has seen.
-- Returns {1, first fencing token}; {2, first fencing token} if the keys had been granted before; or
-- {0, fence counter, a holder's value or '', the shortest PTTL, 1 if a holder will tell nobody of its end}.
-- include queue.lua
local token, ttl, numbers = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local locks = locks()

-- A counter that was lost starts above all that was given out.
local counter = tonumber(redis.call('GET', fence) or 0)
if counter < tonumber(ARGV[6]) then
  local time = redis.call('TIME')
  counter = math.max(tonumber(ARGV[6]), time[1] * 1000000 + time[2])
  redis.call('SET', fence, text(counter))
end

local function holdsAll()
  for _, lock in ipairs(locks) do
    if redis.call('GET', lock.key) ~= token then
      return false
    end
  end
  return true
end

local function take(code)
  for _, lock in ipairs(locks) do
    if redis.call('PTTL', lock.key) < ttl then
      redis.call('PEXPIRE', lock.key, ttl)
    end
    leave(lock, token)
  end
  return {code, text(draw(numbers))}
end

-- Nobody waits and nobody holds: no need to queue.
local function takeFree()
  for _, lock in ipairs(locks) do
    if redis.call('EXISTS', lock.key, lock.queue) > 0 then
      return false
    end
  end
  local first = draw(numbers)
  for _, lock in ipairs(locks) do
    redis.call('SET', lock.key, token, 'PX', ttl)
  end
  return {1, text(first)}
end

local taken = takeFree()
if taken then
  return taken
end
if holdsAll() then
  return take(2)
end

-- In all queues or in none: entries that are missing somewhere are entered anew everywhere, with one
-- ticket, so that two waiters for several keys have the same order in each queue.
local isMissing, keys = false, {}
for _, lock in ipairs(locks) do
  isMissing = isMissing or not redis.call('ZSCORE', lock.queue, token)
  keys[#keys + 1] = #lock.key .. ':' .. lock.key
end
local ticket = isMissing and text(draw(1))
local entry = text(milliseconds() + ARGV[4]) .. ' ' .. ttl .. ' ' .. numbers .. ' '
  .. (#locks > 1 and table.concat(keys) or '')
for _, lock in ipairs(locks) do
  if ticket then
    redis.call('ZADD', lock.queue, ticket, token)
  end
  redis.call('HSET', lock.entries, token, entry)
  for _, name in ipairs({lock.queue, lock.entries}) do
    -- The longest that anybody's place is kept; only ever raised.
    if redis.call('PTTL', name) < tonumber(ARGV[4]) then
      redis.call('PEXPIRE', name, ARGV[4])
    end
  end
end

for _, lock in ipairs(locks) do
  local value = redis.call('GET', lock.key)
  if value and value ~= token then
    -- Who holds a key and waits in its queue has it reserved; it goes back to who came before.
    local other = redis.call('ZSCORE', lock.queue, value)
    if other and tonumber(other) > tonumber(redis.call('ZSCORE', lock.queue, token)) then
      redis.call('DEL', lock.key)
      value = false
    end
  end
  if not value then
    hand(lock, token)
  elseif value == token then
    -- A reservation lasts as long as the place.
    local life = math.min(ttl, tonumber(ARGV[4]))
    if redis.call('PTTL', lock.key) < life then
      redis.call('PEXPIRE', lock.key, life)
    end
  end
end
if holdsAll() then
  return take(1)
end

local holder, shortest, isSilent = nil, -1, 0
for _, lock in ipairs(locks) do
  local value = redis.call('GET', lock.key)
  if value ~= token then
    local remaining = value and redis.call('PTTL', lock.key) or -1
    if remaining >= 0 and (shortest < 0 or remaining < shortest) then
      shortest = remaining
    end
    if not value or string.sub(value, 1, 5) ~= 'rl1n:' then
      isSilent = 1
    end
    holder = holder or value or ''
  end
end
return {0, text(redis.call('GET', fence) or 0), string.sub(holder, 1, 512), shortest, isSilent}
