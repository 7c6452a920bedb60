-- restore: put a lost or rolled-back room in place again, closed to everybody until it is complete.
--
-- ARGV[2]  consumer group
-- ARGV[3]  policy document, JSON
-- ARGV[4]  its timer, JSON; empty: nothing goes back by itself
-- ARGV[5]  revision
-- ARGV[6]  registrations known to have been acknowledged
-- ARGV[7…] field, value, … of the room: times, counters, the policy's numbers, the new epoch
-- returns  1; 0 where the room stands: another delivery has put it back, and people are in it again
-- Outstanding passes and presence end here: their holders are below `called` and claim again.
-- What an older copy still holds of registrations stays; `restore_rows` completes it. O(1).

local GROWING = { issued = true, cohort = true, called = true, ripe = true, near = true, admitted = true,
    ended = true, missing = true, clock_us = true, turned_us = true }

local phase = redis.call('HGET', ROOM, 'phase')
if phase and phase ~= 'recovering' then -- who finds a room to be less has closed it
    return 0
end
redis.call('DEL', PRESENT, FRESH, PASSES, EXPIRIES)
-- Who begins once more, after a failure, may know of less: those who knew the most have died meanwhile.
for index = 7, #ARGV, 2 do
    local held = GROWING[ARGV[index]] and redis.call('HGET', ROOM, ARGV[index])
    if held and tonumber(held) > tonumber(ARGV[index + 1]) then
        ARGV[index + 1] = held
    end
end
redis.call('HSET', ROOM, 'phase', 'recovering', 'confirmed_run', run_id(), 'last_us', whole(server_us()),
    'level', 0, 'revision', ARGV[5], unpack(ARGV, 7))
local sought = math.max(tonumber(redis.call('HGET', ROOM, 'sought') or 0), tonumber(ARGV[6]))
redis.call('HSET', ROOM, 'sought', whole(sought))
for _, name in ipairs(NUMBERS) do
    redis.call('HSETNX', ROOM, name, 0)
end
redis.call('HSET', POLICY, 'revision', ARGV[5], 'document', ARGV[3], 'timer', ARGV[4])
if redis.call('EXISTS', INTAKE) == 0 then
    redis.call('XGROUP', 'CREATE', INTAKE, ARGV[2], '0', 'MKSTREAM')
end
return 1
