-- Deletes the key if it still holds the token, and tells those who wait for it.
-- A user without the right to publish releases all the same.
-- KEYS[1] the key of the resource
-- ARGV[1] the token
-- ARGV[2] the number of the database, for the channel has none; empty: nobody is
-- told
-- Returns 1 and the number of subscribers that were told if the key was deleted,
-- 0 if it holds something else or nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
if ARGV[2] == '' then
  return 1
end
local told = redis.pcall('PUBLISH', 'redlock:released:' .. ARGV[2] .. ':' .. KEYS[1], '')
return 1 + (tonumber(told) or 0)
