-- revive: put dead letters into the intake again, with the audit record of who wanted it.
--
-- ARGV[2]  n, how many ids follow; 0: the oldest ones, whichever they are
-- ARGV[3]  most, how many at once, >= 1
-- ARGV[4…] those n ids in `dead`, then field, value, … of the audit record
-- returns  {revived, left}
-- Idempotent: an id that is gone counts nothing. Stops at the intake's cap. O(entries).
-- Twin of tests/adapters/intake.py's revive.

local room, refusal = load_room()
if refusal then
    return refusal
end
local now_us, n, most = server_us(), tonumber(ARGV[2]), tonumber(ARGV[3])
local before, entries = redis.call('XLEN', DEAD), {}
if n == 0 then
    entries = redis.call('XRANGE', DEAD, '-', '+', 'COUNT', most)
end
for index = 4, 3 + n do
    entries[#entries + 1] = redis.call('XRANGE', DEAD, ARGV[index], ARGV[index])[1]
end
local revived = 0

-- What stood above the quota counts from now on: somebody has decided so.
local function decide(fields)
    local item = {}
    for index = 1, #fields, 2 do
        item[fields[index]] = fields[index + 1]
    end
    if item.reason == 'above-quota' then
        count_in(room, item)
    end
end

for _, entry in ipairs(entries) do
    if revived < most and room.backlog + revived < room.intake_cap
        and redis.call('XDEL', DEAD, entry[1]) == 1 then
        decide(entry[2])
        queue_again(entry[2], now_us)
        revived = revived + 1
    end
end
save_room(room)
note(room, 'dead_before', whole(before), 'dead_after', whole(before - revived), unpack(ARGV, 4 + n))
return { revived, before - revived }
