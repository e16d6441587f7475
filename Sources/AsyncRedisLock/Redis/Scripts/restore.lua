-- Gives keys back that were taken over, to the token that had them, for as long as that would have had them.
-- KEYS: the lock's keys. ARGV: the token that took them over, the former one, how much longer in ms that would have had
-- them; below zero for a shorter time.
-- Returns 1, also if the keys are the first token's no more.
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then
    -- By the server's own clock: what has passed since then counts for both.
    local left = redis.call('PTTL', key) + tonumber(ARGV[3])
    if left > 0 then
      redis.call('SET', key, ARGV[2], 'PX', left)
    else
      redis.call('DEL', key)
    end
  end
end
return 1
