-- reopen: let people in again, and write down what could not be found.
--
-- ARGV[2]  known_accepted  registrations known to have been acknowledged
-- ARGV[3…] field, value, … of the audit record
-- returns  {accepted, missing}
-- O(1).

local room, refusal = load_room(true)
if refusal then
    return refusal
end
if room.phase == 'recovering' then
    room.phase = room.near > 0 and 'open' or 'scheduled' -- the next step moves it on by time
    room.missing = room.missing + math.max(0, tonumber(ARGV[2]) - room.accepted)
    save_room(room)
    note(room, 'missing', whole(room.missing), unpack(ARGV, 3))
end
return { room.accepted, room.missing }
