-- Takes the key where SET NX does not tell enough: it cannot tell the token's own
-- key from a foreign one, for a token that the caller chose, that a client with
-- retries may send twice, or whose key is given back to a node; nor how long a
-- waiter has to wait.
-- KEYS[1] the key of the resource
-- ARGV[1] the token
-- ARGV[2] the TTL in milliseconds
-- Returns 1 if the key was free and is now taken, 2 if it held this token
-- already; if it holds something else, for how many milliseconds, as a negative
-- number, and 0 if that does not expire.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return 2
end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
  return -math.max(left, 1)
end
return 0
