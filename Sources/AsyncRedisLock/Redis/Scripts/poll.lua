-- Takes all keys for a token, or keeps its place in their queues. Asking again is always safe.
-- ARGV: prefix, token, ttl in ms, for how many ms a place is kept without a further poll, number of fencing tokens
-- to draw, the largest fencing token that the caller has seen, 1 if the caller has not raised the fence counter
-- since it connected; then, if no notice has reached the caller for long, for how many ms a key is reserved for it.
-- Returns {1, first fencing token}; {2, first fencing token} if the keys had been granted before; or {0, fence
-- counter, a holder's value or '', the shortest PTTL, 1 if a holder will not announce its release, 1 if the
-- caller's inbox is on this server}.
-- include queue.lua
local token, ttl, lapse, numbers = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local locks = locks()

local largest, mayBeLost = token53(ARGV[6]), ARGV[7] == '1'

-- Raises a counter that was or may have been lost; returns its value after that.
local function raised(counter)
  if counter < largest or mayBeLost then
    mayBeLost = false
    return math.max(counter, raise(math.max(largest, counter)))
  end
  return counter
end

local function first()
  raised(token53(drawn or call('GET', fence)))
  return text(draw(numbers))
end

local function take(code)
  for _, lock in ipairs(locks) do
    if call('PTTL', lock.key) < ttl then
      call('PEXPIRE', lock.key, ttl)
    end
    leave(lock, token)
  end
  return {code, first()}
end

local own, isFree = 0, true
for _, lock in ipairs(locks) do
  lock.value = call('GET', lock.key)
  own = own + (lock.value == token and 1 or 0)
  isFree = isFree and not lock.value and call('EXISTS', lock.queue) == 0
end
if own == #locks then
  -- What is only reserved was not granted.
  return take(call('ZSCORE', locks[1].queue, token) and 1 or 2)
end
if isFree then
  -- There are no waiters, so there is no need to queue.
  local number = first()
  for _, lock in ipairs(locks) do
    call('SET', lock.key, token, 'PX', ttl)
    -- A queue may be lost without its entries.
    redis.pcall('HDEL', lock.entries, token, token .. '!', token .. '@')
  end
  return {1, number}
end

-- In all queues or in none: if entries are missing in some queue, the waiter is entered again everywhere, with one
-- ticket. So two waiters for several keys have the same order in each queue.
local ticket, netstrings = nil, {}
for i, lock in ipairs(locks) do
  local former = call('ZSCORE', lock.queue, token)
  ticket = i == 1 and former or ticket == former and ticket
  netstrings[i] = #lock.key .. ':' .. lock.key
end
local isNew = not ticket
if isNew then
  -- If the counter was lost, a number of it could be below the tickets of those that wait already.
  local highest = 0
  for _, lock in ipairs(locks) do
    local last = call('ZRANGE', lock.queue, -1, -1, 'WITHSCORES')
    highest = math.max(highest, tonumber(last[2] or 0))
  end
  ticket = text(drawAbove(highest, 1))
end
-- Only if the server can tell that the caller's inbox is not here: others might not be notified, either, and would have
-- to find the key free.
local reserves = ARGV[8] and not hears(token) and canTell
local entry = text(milliseconds() + lapse) .. ' ' .. ttl .. ' ' .. numbers .. ' '
  .. (#locks > 1 and table.concat(netstrings) or '')

-- Never shorter than the longest lapse of any place; twice that, so that it is seldom raised.
local function prolong(helper)
  if call('PTTL', helper) < lapse then
    call('PEXPIRE', helper, 2 * lapse)
  end
end

local function enter()
  for _, lock in ipairs(locks) do
    call('HSET', lock.entries, token, entry)
    if reserves then
      call('HSET', lock.entries, token .. '!', ARGV[8])
    end
    prolong(lock.entries)
    if isNew then
      -- For people to look at; no decision depends on it.
      call('HSET', lock.entries, token .. '@', text(milliseconds()))
      call('ZADD', lock.queue, ticket, token)
    end
    prolong(lock.queue)
  end
end

local hasEntered, problem = pcall(enter)
if not hasEntered then
  -- A helper must not stay for ever because its caller lacks a right.
  for _, lock in ipairs(locks) do
    if isNew or redis.pcall('PTTL', lock.entries) == -1 then
      pcall(leave, lock, token)
    end
  end
  error(problem, 0)
end

local hasHanded = false
for _, lock in ipairs(locks) do
  if hasHanded then
    -- Handing one key on may have changed the others, too.
    lock.value = call('GET', lock.key)
  end
  if lock.value and lock.value ~= token then
    -- A holder that waits in the key's queue has the key reserved; it goes back to an earlier waiter.
    local other = call('ZSCORE', lock.queue, lock.value)
    if other and tonumber(other) > tonumber(ticket) then
      call('DEL', lock.key)
      lock.value = false
    end
  end
  if not lock.value then
    hand(lock, token)
    hasHanded = true
  elseif lock.value == token then
    -- A reservation lasts as long as the place.
    local life = math.min(ttl, lapse)
    if call('PTTL', lock.key) < life then
      call('PEXPIRE', lock.key, life)
    end
  end
end

local holder, shortest, isSilent = nil, -1, 0
for _, lock in ipairs(locks) do
  local value = lock.value
  if hasHanded then
    value = call('GET', lock.key)
  end
  if value ~= token then
    local remaining = value and call('PTTL', lock.key) or -1
    if remaining >= 0 and (shortest < 0 or remaining < shortest) then
      shortest = remaining
    end
    if not value or string.sub(value, 1, 5) ~= 'rl1n:' then
      isSilent = 1
    end
    holder = holder or value or ''
  end
end
if not holder then
  return take(1)
end
local counter = raised(token53(drawn or call('GET', fence)))
return {0, text(counter), string.sub(holder, 1, 512), shortest, isSilent, hears(token) and 1 or 0}
