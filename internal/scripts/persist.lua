-- Takes the expiry off the key, if it still holds the token.
-- KEYS[1] the key of the resource
-- ARGV[1] the token
-- Returns 1 if the key holds the token and does not expire, 0 if it holds
-- something else or nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('PERSIST', KEYS[1])
return 1
