-- Gives the key at least the TTL asked for, if it still holds the token. It
-- never shortens: a shorter extend that is delivered late must not take away
-- what a longer one has given.
-- KEYS[1] the key of the resource
-- ARGV[1] the token
-- ARGV[2] the TTL in milliseconds; 0 only asks
-- Returns 1 if the key holds the token, 0 if it holds something else or nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
