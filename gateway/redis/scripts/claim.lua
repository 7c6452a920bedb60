-- claim: issue passes to a batch of called visitors, as far as tokens, form cap and quota go.
--
-- ARGV[2…]  number, position, …  in pairs; answered in order of position
-- returns   one {word, serial, instant_us, wait_us} per pair, in the order of the pairs:
--           issued | held (serial, expiry) · waiting | called | paused | full | closed | prequeue |
--           scheduled (wait_us) · registered | left | missed
-- O(claims); BITCOUNT reads 1 bit per position below `called`, once a batch. Twin of core/passes.claim.

local RETRY_US_MIN = 200000

local counted_to, counted = 0, 0

-- How many present ones stand in front. The batch is answered in order of position, so the bitmap is read
-- once for all of it.
local function rank_of(position)
    counted = counted + count(PRESENT, counted_to, position)
    counted_to = position
    return counted
end

-- How many tokens are kept for those in front: what comes in between two of their asks.
local function kept_tokens(room)
    return math.min(room.burst, math.max(2, math.ceil(rate_in_force(room) * RETRY_US_MIN / TOKEN)))
end

-- How many tokens must be there: those in front are served first, those behind from a fuller bucket.
local function tokens_asked(room, rank)
    local target = stock_target(room)
    return 1 + math.ceil((kept_tokens(room) - 1) * math.min(rank, target) / target)
end

local function wait_for_token(room, rank)
    local missing = (rank + 1) * TOKEN - room.level
    local wait_us = math.max(0, math.ceil(missing / rate_in_force(room)))
    return math.min(math.max(wait_us, RETRY_US_MIN), room.check_in_us)
end

local function issue(room, number, position)
    room.level = room.level - TOKEN
    room.admitted = room.admitted + 1
    room.outstanding = room.outstanding + 1
    write_pass(number, { serial = room.admitted, extensions = 0, persons = '' })
    redis.call('ZADD', EXPIRIES, whole(room.clock_us + room.pass_ttl_us), number)
    mark_absent(position)
    return { 'issued', room.admitted, expiry_instant(room, number), 0 }
end

local function claim(room, number, position)
    local ending = ending_of(number)
    if ending then
        return { ending, 0, 0, 0 }
    end
    local held = pass_of(number)
    if held then
        return { 'held', held.serial, expiry_instant(room, number), 0 }
    end
    if room.phase ~= 'open' then
        return { room.phase, 0, 0, room.check_in_us }
    end
    if room.paused == 1 then
        return { 'paused', 0, 0, room.check_in_us }
    end
    if position >= room.called then
        return { 'waiting', 0, 0, room.check_in_us }
    end
    mark_present(room, position)
    if room.backlog + room.outstanding >= room.intake_cap or is_late(room, room.last_us, 2) or places_free(room) <= 0
        or room.outstanding >= room.form_cap then
        return { 'called', 0, 0, room.check_in_us }
    end
    local rank = rank_of(position)
    if room.level < tokens_asked(room, rank) * TOKEN then
        return { 'called', 0, 0, wait_for_token(room, rank) }
    end
    return issue(room, number, position)
end

local room, refusal = load_room()
if refusal then
    return refusal
end
step(room)
local order, answers = {}, {}
for index = 1, (#ARGV - 1) / 2 do
    order[index] = { index, tonumber(ARGV[2 * index]), tonumber(ARGV[2 * index + 1]) }
end
table.sort(order, function(one, other)
    if one[3] ~= other[3] then
        return one[3] < other[3]
    end
    return one[1] < other[1]
end)
for _, item in ipairs(order) do
    answers[item[1]] = claim(room, item[2], item[3])
end
save_room(room)
return answers
