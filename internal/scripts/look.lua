-- Looks at the key.
-- KEYS[1] the key of the resource
-- ARGV[1] a token: where the key holds it, it is written again as it is, so that
-- a WAIT behind this covers it, too; behind a mere question it may cover
-- nothing. Empty: nothing is written.
-- Returns the first 1024 bytes of what the key holds, and how many milliseconds
-- it has left, -1 if it does not expire. Nothing if there is no such key.
local left = redis.call('PTTL', KEYS[1])
if left == -2 then
  return false
end
local value = redis.call('GETRANGE', KEYS[1], 0, 1023)
if ARGV[1] ~= '' and value == ARGV[1] then
  redis.call('SET', KEYS[1], value, 'KEEPTTL')
end
return {value, left}
