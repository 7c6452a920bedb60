-- prelude: what every room script begins with; the loader puts it in front of each of them.
--
-- KEYS[1]  room      hash    counters, times, phase, the numbers of the policy (NUMBERS below), and the run
--                            of the server for which the room was confirmed; no TTL
-- KEYS[2]  present   bitmap  by position: seen in this check-in interval or the last; no TTL
-- KEYS[3]  fresh     bitmap  by position: seen in this interval; no TTL
-- KEYS[4]  left      bitmap  by number: left by their own will; no TTL
-- KEYS[5]  missed    bitmap  by number: one pass has expired; no TTL
-- KEYS[6]  lost      bitmap  by number: two have; no TTL
-- KEYS[7]  passes    hash    number -> "serial:extensions:person,person,…" (digests in hex); no TTL, <= form_cap
-- KEYS[8]  expiries  zset    number by expiry on the wave clock, us; no TTL, <= form_cap
-- KEYS[9]  spent     hash    number -> "receipt:serial"; no TTL, <= quota
-- KEYS[10] intake    stream  accepted registrations; no TTL, <= intake_cap
-- KEYS[11] persons   hash    person digest -> receipt, the whole programme's; no TTL, <= sum of quotas
-- KEYS[12] receipts  hash    receipt -> "wave|person|content|accepted_at_us|recorded_at_us|state"; no TTL
-- KEYS[13] policy    hash    revision, document (JSON), timer (JSON), at_us, noted; head of the audit; no TTL
-- KEYS[14] audit     stream  one record per action, chained by hash; no TTL, <= 100,000
-- KEYS[15] dead      stream  entries the store will never take; no TTL
-- KEYS[16] settled   stream  entries the store says it has, until they are read back; no TTL, <= 100,000
-- ARGV[1]  fence     the caller's 'epoch:issued:accepted' (16 hex digits, two counters it has seen);
--                    '' where the caller has seen nothing yet
-- Scripts touch no key outside KEYS. Redis TIME is the only clock; what is for good waits until a tick's
-- caller confirms it.

local ROOM, PRESENT, FRESH, LEFT, MISSED, LOST = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local PASSES, EXPIRIES, SPENT, INTAKE = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local PERSONS, RECEIPTS, POLICY, AUDIT, DEAD = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local SETTLED = KEYS[16]

local NUMBERS = {
    'prequeue_at_us', 'opens_at_us', 'closes_at_us', 'last_us', 'clock_us', 'turned_us', 'level',
    'revision', 'rate_milli_per_s', 'burst', 'form_cap', 'quota', 'pass_ttl_us', 'check_in_us',
    'intake_cap', 'paused', 'issued', 'cohort', 'called', 'ripe', 'near', 'admitted', 'accepted',
    'recorded', 'ended', 'missing', 'intake_age_us', 'autopilot', 'floor_milli_per_s',
    'steered_milli_per_s', 'unsteered_us', 'fence', 'form_us', 'unchecked', 'forgotten', 'furthest_us',
    'joins_paused', 'closing_us', 'agreed_us',
}

local function whole(number)
    return string.format('%.0f', number) -- tostring would write 14 digits, an instant has 16
end

local function server_us()
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
end

local AUDIT_MAX = 100000

-- Append one record to the audit, chained to the one before it. Twin of core/audit.link.
local function note(room, ...)
    local head = redis.call('HGET', POLICY, 'head') or ''
    local record = { 'revision', whole(room.revision), 'at_us', whole(server_us()), 'previous', head, ... }
    local parts = {}
    for index, part in ipairs(record) do
        parts[index] = #part .. ':' .. part
    end
    head = redis.sha1hex(table.concat(parts))
    record[#record + 1], record[#record + 2] = 'hash', head
    redis.call('XADD', AUDIT, 'MAXLEN', '~', AUDIT_MAX, '*', unpack(record))
    redis.call('HSET', POLICY, 'head', head)
end

-- Say whether the room is another, or less, than its caller has seen. A lesser room is closed at once
-- and for all: others, who have seen less, would give its numbers again, and recovery would not begin.
local function fence_error(room)
    local epoch, issued, accepted = string.match(ARGV[1], '^(%x+):(%d+):(%d+)$')
    if not epoch then
        return nil
    end
    if epoch ~= room.epoch then
        return redis.error_reply('EPOCH another epoch of this room')
    end
    if tonumber(issued) > room.issued or tonumber(accepted) > room.accepted then
        redis.call('HSET', ROOM, 'phase', 'recovering')
        return redis.error_reply('BEHIND the room holds less than it has acknowledged')
    end
end

-- Since when the oldest entry waits that is not settled; 0: there is none. One that was queued again waits
-- since then.
local function oldest_us(backlog)
    local entry = backlog > 0 and redis.call('XRANGE', INTAKE, '-', '+', 'COUNT', 1)[1]
    local fields, since_us = entry and entry[2] or {}, 0
    for index = 1, #fields, 2 do
        if fields[index] == 'accepted_at_us' or fields[index] == 'queued_at_us' then
            since_us = tonumber(fields[index + 1]) or 0
        end
    end
    return since_us
end

-- Each start of a server has an id of its own. The script asks its own server, which takes about 20 us:
-- what a caller learnt as it connected may be of another one, through whatever stands between.
local function run_id()
    return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end

-- Say whether the server was started since the room was last compared with what others know of it. Put
-- back from an older copy, it looks whole to a caller that has seen nothing yet.
local function run_error(confirmed_run)
    if confirmed_run ~= run_id() then
        return redis.error_reply('UNCONFIRMED the server was started again, the room not yet compared')
    end
end

-- Read the room. The second value is an error to return: no such room, another epoch of it, less than
-- the caller knows, one not confirmed since its server has started, or (unless `even_recovering`) a room
-- that is being put back together.
local function load_room(even_recovering)
    local values = redis.call('HMGET', ROOM, 'epoch', 'phase', 'confirmed_run', unpack(NUMBERS))
    if not values[1] then
        return nil, redis.error_reply('MISSING no such room')
    end
    local room = { epoch = values[1], phase = values[2], stored = { phase = values[2] } }
    for index, name in ipairs(NUMBERS) do
        room[name] = tonumber(values[index + 3] or 0) -- 0: of a room made before there was one
        room.stored[name] = room[name]
    end
    room.backlog = redis.call('XLEN', INTAKE)
    room.outstanding = redis.call('ZCARD', EXPIRIES)
    room.oldest_us = oldest_us(room.backlog)
    if room.phase == 'recovering' and not even_recovering then
        return nil, redis.error_reply('RECOVERING the room is being put back together')
    end
    return room, fence_error(room) or run_error(values[3])
end

-- Write back what has changed.
local function save_room(room)
    local changed = {}
    for name, before in pairs(room.stored) do
        local after = room[name]
        if after ~= before then
            changed[#changed + 1] = name
            changed[#changed + 1] = name == 'phase' and after or whole(after)
        end
    end
    if #changed > 0 then
        redis.call('HSET', ROOM, unpack(changed))
    end
end

-- Whether the oldest entry waits longer than one part of what it may.
local function is_late(room, now_us, parts)
    return room.intake_age_us > 0 and room.oldest_us > 0
        and (now_us - room.oldest_us) * parts > room.intake_age_us
end

local function is_full(room, now_us) -- the intake takes no more
    return room.backlog >= room.intake_cap or is_late(room, now_us, 1)
end

local function is_frozen(room) -- nobody could use the time: the wave clock stands
    return room.paused == 1 or room.phase == 'recovering' or is_full(room, room.last_us)
end

-- Put an entry into the intake again, without what was noted on it since.
local function queue_again(fields, now_us)
    local noted = { entry_id = true, reason = true, tries = true, buried_at_us = true, queued_at_us = true }
    local kept, receipt = {}, nil
    for index = 1, #fields, 2 do
        if fields[index] == 'receipt' then
            receipt = fields[index + 1]
        end
        if not noted[fields[index]] then
            kept[#kept + 1] = fields[index]
            kept[#kept + 1] = fields[index + 1]
        end
    end
    kept[#kept + 1], kept[#kept + 2] = 'queued_at_us', whole(now_us)
    redis.call('XADD', INTAKE, '*', unpack(kept))
    local record = receipt and redis.call('HGET', RECEIPTS, receipt)
    if record then
        local before = string.match(record, '^([^|]*|[^|]*|[^|]*|[^|]*|)')
        redis.call('HSET', RECEIPTS, receipt, before .. '0|received')
    end
    return record
end

-- Have a registration count that stands outside the intake; false where its person has another.
local function count_in(room, item)
    if redis.call('HSETNX', PERSONS, item.person, item.receipt) == 0 then
        return false
    end
    redis.call('HSETNX', SPENT, item.number, item.receipt .. ':' .. item.serial)
    room.accepted = room.accepted + 1
    return true
end

local function places_free(room)
    return room.quota - room.accepted - room.outstanding
end

local function count(bitmap, low, high) -- bits set in [low, high)
    if low >= high then
        return 0
    end
    return redis.call('BITCOUNT', bitmap, low, high - 1, 'BIT')
end

-- How long a bitmap of so many bits is made: in steps of 65,536 visitors, each less the allocator's share.
local function bytes_for(bits)
    return math.ceil((bits / 8 + 64) / 8192) * 8192 - 64
end

-- Set a bit by number; return what it was. A bitmap that grows bit by bit is given twice the room it needs:
-- this one is made anew, at the length that all who have joined ask for.
local function set_bit(room, bitmap, number)
    local bytes = redis.call('STRLEN', bitmap)
    if tonumber(number) >= bytes * 8 then
        local more = bytes_for(math.max(room.issued, tonumber(number) + 1)) - bytes
        redis.call('SET', bitmap, (redis.call('GET', bitmap) or '') .. string.rep('\0', more))
    end
    return redis.call('SETBIT', bitmap, number, 1)
end

local function mark_present(room, position)
    if room.phase == 'open' and position < room.issued then
        redis.call('SETBIT', PRESENT, position, 1)
        redis.call('SETBIT', FRESH, position, 1)
    end
end

local function mark_absent(position)
    redis.call('SETBIT', PRESENT, position, 0)
    redis.call('SETBIT', FRESH, position, 0)
end

-- Why a ticket claims nothing any more, or nil. The second value is "receipt:serial" when registered.
local function ending_of(number)
    local spent = redis.call('HGET', SPENT, number)
    if spent then
        return 'registered', spent
    end
    if redis.call('GETBIT', LEFT, number) == 1 then
        return 'left'
    end
    if redis.call('GETBIT', LOST, number) == 1 then
        return 'missed'
    end
end

-- "serial:extensions:persons" of an outstanding pass, taken apart; nil when there is none.
local function pass_of(number)
    local held = redis.call('HGET', PASSES, number)
    if not held then
        return nil
    end
    local serial, extensions, persons = string.match(held, '^(%d+):(%d+):(.*)$')
    return { serial = tonumber(serial), extensions = tonumber(extensions), persons = persons }
end

local function write_pass(number, held)
    redis.call('HSET', PASSES, number,
        whole(held.serial) .. ':' .. whole(held.extensions) .. ':' .. held.persons)
end

local function drop_pass(number)
    redis.call('HDEL', PASSES, number)
    redis.call('ZREM', EXPIRIES, number)
end

-- When the pass of this visitor expires on the server's clock, if the wave clock is not stopped.
local function expiry_instant(room, number)
    return room.last_us + tonumber(redis.call('ZSCORE', EXPIRIES, number)) - room.clock_us
end
