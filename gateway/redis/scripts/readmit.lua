-- readmit: put acknowledged registrations back that a delivery has in hand and the room has lost.
--
-- ARGV[2]   wave id
-- ARGV[3…]  receipt, person (64 hex), content (32 hex), accepted_at_us, number, serial, payload, …  in sevens
-- returns   how many were put back
-- A receipt that the room knows is where it belongs. One whose person has registered again since is a
-- duplicate, and counted as missing. The others count, as they did before. Where people are in the room again that
-- must not lead above the quota, and no pass is taken back for it: without a free place they stand whole in
-- the dead letters, for an operator to decide (`revive` counts them then). Idempotent. O(entries).
-- Twin of tests/adapters/intake.py's readmit, as far as receipts go.

local room, refusal = load_room(true)
if refusal then
    return refusal
end
local now_us, put_back = server_us(), 0

local function tell(item, instant_us, state)
    redis.call('HSET', RECEIPTS, item.receipt, table.concat(
        { ARGV[2], item.person, item.content, item.accepted_at_us, instant_us, state }, '|'))
end

local function readmit(item)
    local fields = { 'receipt', item.receipt, 'person', item.person, 'content', item.content, 'number', item.number,
        'serial', item.serial, 'accepted_at_us', item.accepted_at_us, 'payload', item.payload }
    if redis.call('HEXISTS', PERSONS, item.person) == 1 then
        room.missing = room.missing + 1
        tell(item, whole(now_us), 'duplicate')
    elseif room.phase ~= 'recovering' and places_free(room) <= 0 then
        redis.call('XADD', DEAD, '*', 'entry_id', '', 'reason', 'above-quota', 'tries', '0',
            'buried_at_us', whole(now_us), unpack(fields))
        tell(item, whole(now_us), 'rejected')
    else
        fields[#fields + 1], fields[#fields + 2] = 'queued_at_us', whole(now_us) -- behind accepted_at_us: it waits since now
        redis.call('XADD', INTAKE, '*', unpack(fields))
        tell(item, '0', 'received')
        count_in(room, item)
        put_back = put_back + 1
    end
end

for index = 3, #ARGV, 7 do
    if redis.call('HEXISTS', RECEIPTS, ARGV[index]) == 0 then
        readmit({
            receipt = ARGV[index], person = ARGV[index + 1], content = ARGV[index + 2], accepted_at_us = ARGV[index + 3],
            number = ARGV[index + 4], serial = ARGV[index + 5], payload = ARGV[index + 6],
        })
    end
end
save_room(room)
return put_back
