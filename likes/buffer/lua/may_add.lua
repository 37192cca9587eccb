-- Whether the user may do what `add` does.
-- KEYS  1 a key where nothing is
-- reply nothing, or the server's error for the first that is not permitted; Redis 6.2 cannot tell, and has no objection
-- A script, as only there a user's rights can be asked for.
local key = KEYS[1]
local forms = {
  {'MGET', key}, {'HGET', key, ''}, {'HSET', key, '', ''}, {'HINCRBY', key, '', '0'},
  {'LLEN', key}, {'RPUSH', key, ''}, {'INCRBY', key, '0'},
}
for _, words in ipairs(forms) do
  if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(words)) then
    local name = string.lower(words[1])
    return redis.error_reply("NOPERM this user has no permissions to run the '" .. name .. "' command")
  end
end
