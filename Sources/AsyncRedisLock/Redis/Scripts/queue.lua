-- Functions about waiting, shared by the scripts that include this file.
--
-- A lock's key has two helpers: the queue, a sorted set of tokens by ticket, and the entries, a hash with the data
-- of each token: "lapse ttl numbers keys", see `parse`; under token .. '!', see `reserveUnheard`; under
-- token .. '@', since when it has its place.
-- KEYS: key, queue, entries of each lock key; then the fence counter. ARGV[1]: the prefix of names.
-- Without a prefix KEYS are the lock's keys alone: the caller may not use the queues.
local prefix, fence, call = ARGV[1], KEYS[#KEYS], redis.call

-- What puts a name into the slot of all these keys, such as `{123}`: in a cluster, the counter's name ends with it.
-- Without a cluster, nil.
local function slotTag()
  return string.match(fence, '{%d+}$')
end

-- The name of a helper, in the hash slot of its key: with the key's own hash tag if it has one.
local function helper(kind, key)
  local open = string.find(key, '{', 1, true)
  local close = open and string.find(key, '}', open + 1, true)
  if close and close > open + 1 then
    return prefix .. kind .. '::' .. key
  end
  local tag = string.find(key, '}', 1, true) and slotTag()
  if tag then
    return prefix .. kind .. ':' .. tag .. ':' .. key
  end
  return prefix .. kind .. ':{' .. key .. '}'
end

local function locks()
  local locks = {}
  if prefix == '' then
    for i = 1, #KEYS do
      locks[i] = {key = KEYS[i]}
    end
    return locks
  end
  for i = 1, #KEYS - 1, 3 do
    locks[#locks + 1] = {key = KEYS[i], queue = KEYS[i + 1], entries = KEYS[i + 2]}
  end
  return locks
end

-- As text with all its digits: Lua's own conversion loses some.
local function text(number)
  return string.format('%.0f', number)
end

local function milliseconds()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The fence counter, as soon as something was drawn from it.
local drawn

-- A fencing token as a number: above 2^53 - 1 Lua would skip some.
local function token53(text)
  local number = tonumber(text or 0)
  if number > 9007199254740991 then
    error('the fence counter is beyond 2^53 - 1', 0)
  end
  return number
end

-- Draws consecutive fencing tokens; returns the first.
local function draw(numbers)
  drawn = token53(call('INCRBY', fence, numbers))
  return drawn - numbers + 1
end

-- Raises the fence counter to the server's time in microseconds, at least to `floor`; returns its value after
-- that.
local function raise(floor)
  local time = call('TIME')
  drawn = math.max(floor, time[1] * 1000000 + time[2])
  call('SET', fence, text(drawn))
  return drawn
end

-- Draws like `draw`, above a number that was drawn before: if the counter is not above it, it was lost.
local function drawAbove(floor, numbers)
  local first = draw(numbers)
  if first <= floor then
    raise(floor)
    first = draw(numbers)
  end
  return first
end

-- Reads an entry. `keys` are all keys that the waiter wants, as netstrings, if there are several; else ''.
local function parse(entry)
  local lapse, ttl, numbers, keys = string.match(entry or '', '^(%d+) (%d+) (%d+) (.*)$')
  return tonumber(lapse), ttl, numbers, keys
end

-- The locks of an entry with several keys.
local function split(netstrings)
  local locks, position = {}, 1
  while position <= #netstrings do
    local colon = string.find(netstrings, ':', position, true)
    local last = colon + tonumber(string.sub(netstrings, position, colon - 1))
    local key = string.sub(netstrings, colon + 1, last)
    locks[#locks + 1] = {key = key, queue = helper('queue', key), entries = helper('entries', key)}
    position = last + 1
  end
  return locks
end

-- Entries first: without the right to remove one, the place stays whole.
local function leave(lock, token)
  call('HDEL', lock.entries, token, token .. '!', token .. '@')
  call('ZREM', lock.queue, token)
end

-- The value of a key, or false; for a key of another type, a value that is no token.
local function holder(lock)
  local value = redis.pcall('GET', lock.key)
  return type(value) == 'table' and '' or value
end

-- False once the server has refused to send a notice, or to remove the waiter that it would be for.
local canTell = true

-- Whether a waiter was sent a notice.
local hasTold = false

-- The inbox of the locker that a token belongs to.
local function inbox(token)
  local tag = slotTag()
  return prefix .. 'inbox:' .. (tag and tag .. ':' or '') .. (string.match(token, '^%w+:[^:]*:[^:]*:[^:]*:(%x+):') or '')
end

-- What this run of the script has found out about waiters: a place with many keys is looked at once, not for each
-- of its keys. `isDeaf`: its inbox is not here; then a key may be reserved for `life` ms. `isRefused`: the server
-- refuses to grant it anything.
local places = {}

local function place(token)
  places[token] = places[token] or {}
  return places[token]
end

-- Whether a waiter's inbox is on this very server.
-- The count that PUBLISH returns comes too late: a script's message reaches the inboxes on replicas, too, even if
-- the script takes the grant back. So a grant that will not last is not announced.
local function hears(token)
  if place(token).isDeaf then
    return false
  end
  local subscribers = redis.pcall('PUBSUB', slotTag() and 'SHARDNUMSUB' or 'NUMSUB', inbox(token))
  if subscribers.err then
    canTell = false
    return false
  end
  place(token).isDeaf = subscribers[2] == 0
  return subscribers[2] > 0
end

-- Sends a waiter that hears its grant; returns whether the server allows that.
local function tell(token, first, numbers, keys)
  local message = text(first) .. ' ' .. numbers .. ' ' .. token .. ' ' .. keys
  local listeners = redis.pcall(slotTag() and 'SPUBLISH' or 'PUBLISH', inbox(token), message)
  canTell = type(listeners) ~= 'table'
  hasTold = hasTold or canTell
  return canTell
end

-- Whether the server lets the caller remove a waiter from a lock's queue: tried with a waiter that there is not.
-- A grant that is announced has to be complete. An error behind the notice would leave the waiter in the queue, and
-- the next poll would take its lock for one that is only reserved.
local function mayRemove(lock)
  return type(redis.pcall('ZREM', lock.queue, '')) == 'number'
    and type(redis.pcall('HDEL', lock.entries, '')) == 'number'
end

-- Sets locks to a token; returns whether the server allows that for all of them.
local function set(locks, token, life)
  for _, lock in ipairs(locks) do
    if redis.pcall('SET', lock.key, token, 'PX', life).err then
      return false
    end
  end
  return true
end

-- Grants locks that are reserved for a waiter; if that fails, they stay reserved.
local function grant(locks, token, ticket, life, ttl, numbers, keys)
  for _, lock in ipairs(locks) do
    if not mayRemove(lock) then
      return false
    end
  end
  local first = drawAbove(ticket, numbers)
  if not set(locks, token, ttl) or not tell(token, first, numbers, keys) then
    set(locks, token, life)
    return false
  end
  for _, lock in ipairs(locks) do
    leave(lock, token)
  end
  return true
end

-- Finds the locks of a waiter that it has already, and reserves those that are free and next for it, but for one.
local function gather(place, lock, token, life, keys)
  place.all, place.taken, place.count = split(keys), {}, 0
  for _, other in ipairs(place.all) do
    local value = other.key ~= lock.key and holder(other)
    if value == token then
      place.count = place.count + 1
    elseif value == false and other.key ~= lock.key and redis.pcall('ZRANGE', other.queue, 0, 0)[1] == token
      and set({other}, token, life) then
      place.count = place.count + 1
      place.taken[#place.taken + 1] = other
    end
  end
end

-- Notes that a waiter with an inbox elsewhere is passed over; a key can be reserved for it for so many ms.
local function passOver(token, life, unheard)
  place(token).life = life
  unheard[#unheard + 1] = token
end

-- Reserves a lock, which another waiter would be notified of, for the first of those that were passed over and have
-- asked for that since they last had one reserved. Otherwise such a waiter might never find the lock free.
local function reserveUnheard(lock, unheard)
  for _, token in ipairs(unheard) do
    local reservation = tonumber(call('HGET', lock.entries, token .. '!'))
    if reservation and redis.pcall('HDEL', lock.entries, token .. '!') == 1 then
      call('SET', lock.key, token, 'PX', math.min(place(token).life, reservation))
      return true
    end
  end
  return false
end

-- Reserves a free lock for a waiter that needs others too, and grants all of them once it has them all.
-- If the waiter stops polling, the reservation lasts no longer than its place, `life` in ms.
-- The caller may have no right to the other locks; then the waiter takes them at its next poll.
-- Returns whether the waiter has the key now.
local function reserve(lock, token, ticket, life, ttl, numbers, keys, isCaller, unheard)
  life = math.max(math.min(life, tonumber(ttl)), 1)
  if isCaller then
    -- Its poll goes through all of its locks.
    call('SET', lock.key, token, 'PX', life)
    return true
  end
  if not hears(token) then
    passOver(token, life, unheard)
    return false
  end
  if reserveUnheard(lock, unheard) then
    return true
  end
  local place = place(token)
  if not place.all then
    gather(place, lock, token, life, keys)
  end
  call('SET', lock.key, token, 'PX', life)
  place.count, place.taken[#place.taken + 1] = place.count + 1, lock
  local isGranted = place.count == #place.all and grant(place.all, token, ticket, life, ttl, numbers, keys)
  if isGranted or canTell then
    return true
  end
  for _, one in ipairs(place.taken) do
    call('DEL', one.key)
  end
  place.isRefused = true
  return false
end

-- Gives a free lock to a waiter, or reserves it; returns whether the waiter has the key then. The caller gets its
-- answer anyway; other waiters have to be notified.
local function give(lock, token, ticket, entry, now, isCaller, unheard)
  local lapse, ttl, numbers, keys = parse(entry)
  if keys ~= '' then
    return reserve(lock, token, ticket, lapse - now, ttl, numbers, keys, isCaller, unheard)
  end
  if isCaller then
    call('SET', lock.key, token, 'PX', ttl)
    return true
  end
  canTell = canTell and mayRemove(lock)
  if not canTell then
    return false
  end
  if not hears(token) then
    passOver(token, math.max(math.min(lapse - now, tonumber(ttl)), 1), unheard)
    return false
  end
  if reserveUnheard(lock, unheard) then
    return true
  end
  local first = drawAbove(ticket, numbers)
  call('SET', lock.key, token, 'PX', ttl)
  if tell(token, first, numbers, #lock.key .. ':' .. lock.key) then
    leave(lock, token)
    return true
  end
  call('DEL', lock.key)
  return false
end

-- Hands a free lock to the first waiter that can be notified; returns whether the lock has a holder then.
-- `caller` is the token of a waiter that asks at this moment.
local function hand(lock, caller)
  local passed, now, unheard = 0, nil, {}
  for _ = 1, 100 do
    local token, ticket = unpack(call('ZRANGE', lock.queue, passed, passed, 'WITHSCORES'))
    if not token then
      return false
    end
    now = now or milliseconds()
    local known, entry, lapse = place(token)
    if known.isRefused then
      canTell = false
    elseif known.isDeaf and token ~= caller then
      -- Its entry may be long, and was looked at for another key.
      passOver(token, known.life, unheard)
    else
      entry = call('HGET', lock.entries, token)
      lapse = parse(entry)
    end
    if not lapse and not known.isDeaf and not known.isRefused or lapse and lapse < now then
      leave(lock, token)
    elseif lapse and give(lock, token, tonumber(ticket), entry, now, token == caller, unheard) then
      return true
    elseif canTell then
      passed = passed + 1
    else
      return false
    end
  end
  -- After so many waiters that cannot be notified, a caller need not wait for them.
  return caller and give(lock, caller, nil, call('HGET', lock.entries, caller), now, true) or false
end

-- Whether an error is about a helper of another type: that concerns its own lock alone, and no right is missing.
local function isOfType(problem)
  return string.find(type(problem) == 'table' and problem.err or tostring(problem), 'WRONGTYPE', 1, true) ~= nil
end

-- Hands on locks that were given back; an error here must not affect the release.
-- Returns 1 if a waiter got one and a notice of it, 2 if one is reserved only, -1 if no waiter could be notified, else
-- 0.
local function serve(locks)
  local isHanded, wasRefused = false, false
  if prefix == '' then
    return 0
  end
  for i, lock in ipairs(locks) do
    -- A lock that was reserved together with the one before is no longer free.
    if i == 1 or not holder(lock) then
      canTell = true
      local isDone, isTaken = pcall(hand, lock)
      wasRefused = wasRefused or not canTell or not isDone and not isOfType(isTaken)
      isHanded = isHanded or isDone and isTaken
    end
  end
  return wasRefused and -1 or isHanded and (hasTold and 1 or 2) or 0
end
