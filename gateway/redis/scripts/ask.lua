-- ask: have every receipt compared with the store, with the audit record of who wanted it.
--
-- ARGV[2…] field, value, … of the audit record
-- returns  how often it was asked for
-- O(1).

local room, refusal = load_room()
if refusal then
    return refusal
end
redis.call('XADD', AUDIT, '*', 'revision', whole(room.revision), 'at_us', whole(server_us()), unpack(ARGV, 2))
return redis.call('HINCRBY', ROOM, 'asked', 1)
