-- Try commands, each in a form that changes nothing.
-- KEYS  1 a key where nothing is, 2… other keys that must be permitted
-- ARGV  1 msgpack array of commands, each an array of words, 2 from which of them on they write to the key
-- reply {command, error, …} of those that failed
-- Atomic, because what is written is gone again before anybody sees it.
local failed, clears = {}, type(redis.pcall('DEL', KEYS[1])) == 'number'
for i, words in ipairs(cmsgpack.unpack(ARGV[1])) do
  if i < tonumber(ARGV[2]) or clears then
    local reply = redis.pcall(unpack(words))
    if type(reply) == 'table' and reply.err then
      failed[#failed + 1] = words[1]
      failed[#failed + 1] = reply.err
    elseif clears then
      redis.call('DEL', KEYS[1])
    end
  end
end
return failed
