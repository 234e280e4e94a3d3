-- Takes the key for a token that may have been used before: one that the caller
-- chose, or one that a client with retries may send twice. SET NX cannot tell
-- the token's own key from a foreign one.
-- KEYS[1] the key of the resource
-- ARGV[1] the token
-- ARGV[2] the TTL in milliseconds
-- Returns 1 if the key was free and is now taken, 2 if it held this token
-- already, 0 if it holds something else.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return 2
end
return 0
