-- confirm_room: let a room be used on this run of its server, unless somebody has seen more of it.
--
-- ARGV[2…]  epoch, issued, accepted, clock_us, … in fours: the room as others have seen it
-- returns   1 confirmed; 0 there is none, or it is closed until it is put back
-- Idempotent. Counters outlive a recovery only in part, so all but `issued` are compared within an epoch.
-- The wave clock tells an older copy from the room even where nothing but time was lost. O(others).

local room = load_room(true)
if not room or room.phase == 'recovering' then
    return 0
end
for index = 2, #ARGV, 4 do
    local issued, accepted = tonumber(ARGV[index + 1]), tonumber(ARGV[index + 2])
    local is_same = ARGV[index] == room.epoch
    local is_older = is_same and (accepted > room.accepted or tonumber(ARGV[index + 3]) > room.clock_us)
    if issued > room.issued or is_older then
        redis.call('HSET', ROOM, 'phase', 'recovering')
        return 0
    end
end
redis.call('HSET', ROOM, 'confirmed_run', run_id())
return 1
