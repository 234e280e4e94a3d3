-- Deletes the key if it still holds the token.
-- KEYS[1] the key of the resource
-- ARGV[1] the token
-- Returns 1 if the key was deleted, 0 if it holds something else or nothing.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
