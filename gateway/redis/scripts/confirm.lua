-- confirm: what reading back has shown of entries the store said it had: let them go, or queue them again.
--
-- ARGV[2…]  id in `settled`, 1 stands | 0 forgotten, …  in pairs
-- returns   how many were queued again
-- Idempotent: an id that is gone counts nothing. O(entries). Twin of tests/adapters/intake.py's confirm.

local room, refusal = load_room()
if refusal then
    return refusal
end
local now_us, queued = server_us(), 0
for index = 2, #ARGV, 2 do
    local id = ARGV[index]
    local entry = redis.call('XRANGE', SETTLED, id, id)[1]
    if entry and ARGV[index + 1] == '0' then
        local record = queue_again(entry[2], now_us)
        if record and string.match(record, '|recorded$') then
            room.recorded = room.recorded - 1
        end
        room.forgotten = room.forgotten + 1
        queued = queued + 1
    end
    redis.call('XDEL', SETTLED, id)
end
save_room(room)
return queued
