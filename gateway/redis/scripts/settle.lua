-- settle: what became of a batch of entries: acknowledge, remove, count, and tell their receipts.
--
-- ARGV[2]   consumer group
-- ARGV[3…]  entry id, receipt, state (recorded | duplicate | rejected), reason, …  in fours
-- returns   how many were settled now (an entry settled before counts nothing)
-- O(entries). A rejected entry moves to the dead letters whole, in the same step.
-- Twin of tests/adapters/intake.py's settle.

-- Move a receipt's state; false where recovery had learnt of it from the store already.
local function tell(receipt, state, now_us)
    local record = redis.call('HGET', RECEIPTS, receipt)
    if not record or string.match(record, '|recorded$') then
        return false
    end
    local kept = string.match(record, '^([^|]*|[^|]*|[^|]*|[^|]*|)')
    redis.call('HSET', RECEIPTS, receipt, kept .. whole(now_us) .. '|' .. state)
    return true
end

local function bury(id, reason)
    local entry = redis.call('XRANGE', INTAKE, id, id)[1]
    if entry then
        redis.call('XADD', DEAD, '*', 'entry_id', id, 'reason', reason, unpack(entry[2]))
    end
end

local room, refusal = load_room()
if refusal then
    return refusal
end
local now_us = server_us()
local settled = 0
for index = 3, #ARGV, 4 do
    local id, receipt, state, reason = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3]
    if redis.call('XACK', INTAKE, ARGV[2], id) == 1 then
        if state == 'rejected' then
            bury(id, reason)
        end
        redis.call('XDEL', INTAKE, id)
        settled = settled + 1
        if tell(receipt, state, now_us) and state == 'recorded' then
            room.recorded = room.recorded + 1
        end
    end
end
save_room(room)
return settled
