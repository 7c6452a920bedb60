-- accept: spend a batch of passes on registrations: person, quota and stream entry in one step.
--
-- ARGV[2]   wave id
-- ARGV[3…]  number, serial, receipt, person (64 hex), content (32 hex), payload, …  in sixes
-- returns   one {word, receipt, instant_us} per six: accepted (first receipt and instant) ·
--           pass-ended · pass-used · too-many-persons · already-registered · backlog-full;
--           then how many the room has accepted in all
-- The pass is looked at before the person, so without it nothing can be learnt about anybody.
-- O(registrations). With `appendfsync always` the reply leaves after the fsync.
-- Twin of core/passes.accept.

local PERSONS_PER_PASS_MAX = 3

local function record_of(receipt)
    local record = redis.call('HGET', RECEIPTS, receipt)
    local person, content, instant = string.match(record, '^[^|]*|([^|]*)|([^|]*)|([^|]*)|')
    return { receipt = receipt, person = person, content = content, instant = tonumber(instant) }
end

local function accepted(record)
    return { 'accepted', record.receipt, record.instant }
end

local function spent_answer(spent, item)
    local first = record_of(string.match(spent, '^([^:]+):'))
    if first.person == item.person and first.content == item.content then
        return accepted(first)
    end
    return { 'pass-used', '', 0 }
end

-- Note that the pass was tried with this person; false when it was tried with too many others.
local function note_person(item, held)
    local tried = 0
    for person in string.gmatch(held.persons, '[^,]+') do
        if person == item.person then
            return true
        end
        tried = tried + 1
    end
    if tried >= PERSONS_PER_PASS_MAX then
        return false
    end
    held.persons = tried == 0 and item.person or held.persons .. ',' .. item.person
    write_pass(item.number, held)
    return true
end

-- How long the pass was out, on the wave clock: its life began that much before its expiry.
local function time_on_form_us(room, number, held)
    local expires_us = tonumber(redis.call('ZSCORE', EXPIRIES, number))
    return math.max(0, room.clock_us - expires_us + (1 + held.extensions) * room.pass_ttl_us)
end

local function append(room, item, now_us)
    redis.call('XADD', INTAKE, '*', 'receipt', item.receipt, 'person', item.person, 'content', item.content,
        'number', item.number, 'serial', whole(item.serial),
        'accepted_at_us', whole(now_us), 'payload', item.payload)
    redis.call('HSET', PERSONS, item.person, item.receipt)
    redis.call('HSET', RECEIPTS, item.receipt, table.concat(
        { ARGV[2], item.person, item.content, whole(now_us), '0', 'received' }, '|'))
    room.accepted = room.accepted + 1
    room.backlog = room.backlog + 1
    room.oldest_us = room.oldest_us > 0 and room.oldest_us or now_us
    return { receipt = item.receipt, instant = now_us }
end

local function accept(room, item, now_us)
    local spent = redis.call('HGET', SPENT, item.number)
    if spent and tonumber(string.match(spent, ':(%d+)$')) == item.serial then
        return spent_answer(spent, item)
    end
    local held = pass_of(item.number)
    if not held or held.serial ~= item.serial then
        return { 'pass-ended', '', 0 }
    end
    if not note_person(item, held) then
        return { 'too-many-persons', '', 0 }
    end
    local earlier = redis.call('HGET', PERSONS, item.person)
    local record
    if earlier then
        record = record_of(earlier)
        if record.content ~= item.content then
            return { 'already-registered', '', 0 }
        end
    elseif is_full(room, now_us) then
        return { 'backlog-full', '', 0 }
    else
        record = append(room, item, now_us)
    end
    room.form_us = room.form_us + time_on_form_us(room, item.number, held)
    drop_pass(item.number)
    redis.call('HSET', SPENT, item.number, record.receipt .. ':' .. whole(item.serial))
    return accepted(record)
end

local room, refusal = load_room()
if refusal then
    return refusal
end
local now_us = server_us()
local answers = {}
for index = 3, #ARGV, 6 do
    answers[#answers + 1] = accept(room, {
        number = ARGV[index], serial = tonumber(ARGV[index + 1]), receipt = ARGV[index + 2],
        person = ARGV[index + 3], content = ARGV[index + 4], payload = ARGV[index + 5],
    }, now_us)
end
save_room(room)
answers[#answers + 1] = room.accepted
return answers
