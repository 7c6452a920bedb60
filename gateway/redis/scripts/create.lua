-- create: make a room, its policy and its intake group, unless the room exists.
--
-- ARGV[1]  epoch of the room to make, 16 hex digits
-- ARGV[2]  consumer group
-- ARGV[3]  prequeue_at_us, ARGV[4] opens_at_us, ARGV[5] closes_at_us: instants, or, with a leading '+',
--          distances from now (demo programmes)
-- ARGV[6]  policy document, JSON
-- ARGV[7…] name, value, …  the policy's numbers (rate_milli_per_s, burst, form_cap, quota, pass_ttl_us,
--          check_in_us, intake_cap, intake_age_us, autopilot, floor_milli_per_s, paused, joins_paused,
--          closing_us), its beacon, and the commitment of the draw
-- returns  1 made, 0 there already
-- O(1).

if redis.call('EXISTS', ROOM) == 1 then
    return 0
end
local now_us = server_us()

local function instant(text)
    if string.sub(text, 1, 1) == '+' then
        return whole(now_us + tonumber(string.sub(text, 2)))
    end
    return text
end

redis.call('HSET', ROOM, 'epoch', ARGV[1], 'phase', 'scheduled', 'made_at_us', whole(now_us),
    'prequeue_at_us', instant(ARGV[3]), 'opens_at_us', instant(ARGV[4]),
    'closes_at_us', instant(ARGV[5]), 'missing', 0, 'confirmed_run', run_id(), 'last_us', whole(now_us), 'revision', 1, unpack(ARGV, 7))
for _, name in ipairs(NUMBERS) do
    redis.call('HSETNX', ROOM, name, 0)
end
redis.call('HSET', POLICY, 'revision', 1, 'document', ARGV[6])
redis.call('XGROUP', 'CREATE', INTAKE, ARGV[2], '0', 'MKSTREAM')
return 1
