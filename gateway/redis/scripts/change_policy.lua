-- change_policy: replace a policy if nobody was faster, with its timer and audit record, in one step.
--
-- ARGV[2]  the revision to replace
-- ARGV[3]  policy document, JSON
-- ARGV[4]  timer, JSON; empty: nothing goes back by itself
-- ARGV[5]  n, how many of the following are name, value, … of the policy's numbers (see create)
-- ARGV[6…] those n values, then field, value, … of the audit record
-- returns  {1, new revision} · {0, revision in force}, also where another closing comes after the closing
-- O(1).

local room, refusal = load_room()
if refusal then
    return refusal
end
if room.revision ~= tonumber(ARGV[2]) then
    return { 0, room.revision }
end
step(room) -- a change of rate pays for no past
save_room(room)
local n = tonumber(ARGV[5])
for index = 6, 4 + n, 2 do
    local differs = ARGV[index] == 'closing_us' and tonumber(ARGV[index + 1]) ~= room.closing_us
    if differs and room.phase == 'closed' then -- in the meantime, and for good
        return { 0, room.revision }
    end
end
room.revision = room.revision + 1
local beacon = redis.call('HGET', ROOM, 'beacon')
redis.call('HSET', ROOM, 'revision', whole(room.revision), unpack(ARGV, 6, 5 + n))
if room.near > 0 then
    redis.call('HSET', ROOM, 'beacon', beacon) -- the draw is done: its beacon stays
end
redis.call('HSET', POLICY, 'revision', whole(room.revision), 'document', ARGV[3], 'timer', ARGV[4],
    'at_us', whole(server_us()))
note(room, unpack(ARGV, 6 + n))
return { 1, room.revision }
