-- ask: have every receipt compared with the store, with the audit record of who wanted it.
--
-- ARGV[2…] field, value, … of the audit record
-- returns  the wish: an instant, us, greater than that of any before
-- O(1). No count: it would begin anew with the room, and be taken for one that was fulfilled long ago.

local room, refusal = load_room()
if refusal then
    return refusal
end
note(room, unpack(ARGV, 2))
local wish = math.max(server_us(), (tonumber(redis.call('HGET', ROOM, 'asked')) or 0) + 1)
redis.call('HSET', ROOM, 'asked', whole(wish))
return wish
