-- settle: what became of a batch of entries: acknowledge, remove, count, and tell their receipts.
--
-- ARGV[2]   consumer group
-- ARGV[3…]  entry id, receipt, state (recorded | duplicate | rejected), reason, …  in fours
-- returns   how many were settled now (an entry settled before counts nothing)
-- O(entries). A rejected entry moves to the dead letters whole, a recorded one to those that are to be read
-- back, in the same step. Of the latter the oldest goes, counted as unchecked, when there are SETTLED_MAX.
-- Twin of tests/adapters/intake.py's settle.

local SETTLED_MAX = 100000

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

local function tries_of(id)
    local pending = redis.call('XPENDING', INTAKE, ARGV[2], id, id, 1)[1]
    return pending and whole(pending[4]) or '0'
end

local function bury(id, reason, tries, now_us)
    local entry = redis.call('XRANGE', INTAKE, id, id)[1]
    if entry then
        redis.call('XADD', DEAD, '*', 'entry_id', id, 'reason', reason, 'tries', tries,
            'buried_at_us', whole(now_us), unpack(entry[2]))
    end
end

local function keep(room, id)
    local entry = redis.call('XRANGE', INTAKE, id, id)[1]
    if not entry then
        return
    end
    if redis.call('XLEN', SETTLED) >= SETTLED_MAX then
        redis.call('XTRIM', SETTLED, 'MAXLEN', SETTLED_MAX - 1)
        room.unchecked = room.unchecked + 1
    end
    redis.call('XADD', SETTLED, '*', unpack(entry[2]))
end

local room, refusal = load_room()
if not room then -- an unconfirmed one will do: the store has decided, and whoever puts a room back asks it
    return refusal
end
local now_us = server_us()
local settled = 0
for index = 3, #ARGV, 4 do
    local id, receipt, state, reason = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3]
    local tries = state == 'rejected' and tries_of(id)
    if redis.call('XACK', INTAKE, ARGV[2], id) == 1 then
        if state == 'rejected' then
            bury(id, reason, tries, now_us)
        elseif state == 'recorded' then
            keep(room, id)
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
