-- Takes a lock away from its holder, and hands it on. A key of another type is no lock, and is left alone.
-- ARGV: prefix. Returns the holder's value, or false if the key was free.
-- include master.lua
-- include queue.lua
local holder = call('GET', KEYS[1])
if holder then
  call('DEL', KEYS[1])
else
  requireMaster(KEYS[1], holder)
end
serve(locks())
return holder and string.sub(holder, 1, 512)
