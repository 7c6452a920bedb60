-- restore_rows: registrations that the store has and the room must count, however little it remembers.
--
-- ARGV[2]   wave id
-- ARGV[3…]  receipt, person (64 hex), content (32 hex), accepted_at_us, recorded_at_us, number, serial, …
--           in sevens
-- returns   how many of them the room did not know as recorded
-- Idempotent. O(rows).

local room, refusal = load_room(true)
if refusal then
    return refusal
end
local learnt = 0
for index = 3, #ARGV, 7 do
    local receipt, person = ARGV[index], ARGV[index + 1]
    local known = redis.call('HGET', RECEIPTS, receipt)
    if not known then
        room.accepted = room.accepted + 1
    end
    if not known or not string.match(known, '|recorded$') then
        redis.call('HSET', RECEIPTS, receipt, table.concat({ ARGV[2], person, ARGV[index + 2],
            ARGV[index + 3], ARGV[index + 4], 'recorded' }, '|'))
        redis.call('HSET', PERSONS, person, receipt)
        redis.call('HSET', SPENT, ARGV[index + 5], receipt .. ':' .. ARGV[index + 6])
        room.recorded = room.recorded + 1
        learnt = learnt + 1
    end
end
save_room(room)
return learnt
