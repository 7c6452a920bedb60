-- ask: have every receipt compared with the store, with the audit record of who wanted it.
--
-- ARGV[2…] field, value, … of the audit record
-- returns  how often it was asked for
-- O(1).

local room, refusal = load_room()
if refusal then
    return refusal
end
note(room, unpack(ARGV, 2))
return redis.call('HINCRBY', ROOM, 'asked', 1)
