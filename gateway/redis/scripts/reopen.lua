-- reopen: let people in again, and write down what could not be found.
--
-- ARGV[2…] field, value, … of the audit record
-- returns  {accepted, missing}
-- O(1).

local room, refusal = load_room(true)
if refusal then
    return refusal
end
if room.phase == 'recovering' then
    room.phase = room.near > 0 and 'open' or 'scheduled' -- the next step moves it on by time
    local sought = tonumber(redis.call('HGET', ROOM, 'sought') or 0) -- what `restore` was told
    room.missing = room.missing + math.max(0, sought - room.accepted)
    redis.call('HDEL', ROOM, 'sought')
    save_room(room)
    note(room, 'missing', whole(room.missing), unpack(ARGV, 2))
end
return { room.accepted, room.missing }
