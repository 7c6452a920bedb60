-- tick: note who checked in, put expired passes back, move `called`; say how the room stands.
--
-- ARGV[2]   the caller's own clock, us: where it is far from the server's, no phase is moved by time
-- ARGV[3]   the draw's commitment as the caller knows it, 64 hex digits; '': it does not. A room keeps its first
-- ARGV[4…]  positions that checked in since the caller's last tick, each >= 0; those called meanwhile are
--           passed over, for they may have claimed: `claim` notes them
-- returns   {epoch, phase, now_us, agreed_us, furthest_us, clock_us, prequeue_at_us, opens_at_us, closes_at_us, revision,
--            issued, cohort, called, near, stock, admitted, outstanding, accepted, recorded, ended, backlog,
--            missing, rate_milli_per_s (in force), oldest_us, form_us, beacon,
--            commitment}
-- O(check-ins + expired passes (<= 500) + log window); BITCOUNT reads 1 bit per position below `called`.
-- Twin of core/room.tick.

local EXPIRED_PER_TICK = 500

local function expire(room)
    local expired = redis.call('ZRANGEBYSCORE', EXPIRIES, '-inf', whole(room.clock_us),
        'LIMIT', 0, EXPIRED_PER_TICK)
    for _, number in ipairs(expired) do
        drop_pass(number)
        if set_bit(room, MISSED, number) == 1 then
            set_bit(room, LOST, number)
            room.ended = room.ended + 1
        end
    end
    room.outstanding = room.outstanding - #expired
end

-- Wide enough for NEAR_STOCKS targets of present visitors, by their share in today's window.
local function next_near(room)
    local needed = NEAR_STOCKS * stock_target(room)
    local span = math.max(0, room.near - room.called)
    local share = (count(PRESENT, room.called, room.near) + 1) / (span + 1)
    local wide = math.ceil(needed / math.max(share, PRESENT_SHARE_MIN))
    return room.called + math.min(wide, room.issued - room.called + needed)
end

-- Once an interval: forget who was not seen in it; all who are near have been so for an interval.
local function turn(room)
    if room.clock_us - room.turned_us < room.check_in_us then
        return false
    end
    room.turned_us = room.clock_us
    if redis.call('EXISTS', FRESH) == 1 then
        redis.call('RENAME', FRESH, PRESENT)
    else
        redis.call('DEL', PRESENT)
    end
    -- Made at its length, as in set_bit, with a step for those who join until the next turn.
    redis.call('SETBIT', FRESH, 8 * bytes_for(room.issued + 65536) - 1, 0)
    room.ripe = room.near
    return true
end

local function first_absent(low, high)
    if low >= high then
        return high
    end
    local position = redis.call('BITPOS', PRESENT, 0, low, high - 1, 'BIT')
    if position >= low and position < high then
        return position
    end
    -- A bitmap that ends below `low` has no clear bit there as Redis sees it: absent all the same.
    if redis.call('STRLEN', PRESENT) * 8 <= low then
        return low
    end
    return math.min(high, redis.call('STRLEN', PRESENT) * 8)
end

-- The position behind the n-th present one of [low, high), by halving.
local function after_nth(n, low, high)
    local start = low
    while high - low > 1 do
        local middle = math.floor((low + high) / 2)
        if count(PRESENT, start, middle) >= n then
            high = middle
        else
            low = middle
        end
    end
    return high
end

local function advance(room)
    local target = math.min(stock_target(room), math.max(0, places_free(room)))
    local wanted = target - count(PRESENT, 0, room.called)
    if wanted <= 0 then
        return room.called
    end
    local frontier = room.called
    if room.issued > room.called then
        frontier = first_absent(math.max(room.ripe, room.called), room.issued)
    end
    if count(PRESENT, room.called, frontier) <= wanted then
        return math.max(room.called, frontier)
    end
    return after_nth(wanted, room.called, frontier)
end

local room, refusal = load_room(true)
if refusal then
    return refusal
end
local now_us = server_us()
if math.abs(now_us - tonumber(ARGV[2])) <= APART_US_MAX then
    room.agreed_us = now_us
end
step(room)
for index = 4, #ARGV do
    local position = tonumber(ARGV[index])
    if position >= room.called then
        mark_present(room, position)
    end
end
if room.phase == 'open' or room.phase == 'full' or room.phase == 'closed' then
    expire(room)
end
if room.phase == 'open' and not is_frozen(room) then
    local turned = turn(room)
    room.called = advance(room)
    if turned then -- fit the window to those who are left in it, once `called` has moved
        room.near = next_near(room)
    end
end
save_room(room)
local beacon, commitment = unpack(redis.call('HMGET', ROOM, 'beacon', 'commitment'))
if not commitment and ARGV[3] ~= '' then -- made before rooms kept it
    redis.call('HSET', ROOM, 'commitment', ARGV[3])
    commitment = ARGV[3]
end
local phase = room.phase
if room.paused == 1 and (phase == 'open' or phase == 'prequeue') then
    phase = 'paused'
end
return { room.epoch, phase, room.last_us, room.agreed_us, room.furthest_us, room.clock_us, room.prequeue_at_us,
    room.opens_at_us, room.closes_at_us, room.revision, room.issued, room.cohort, room.called, room.near,
    count(PRESENT, 0, room.called), room.admitted, room.outstanding, room.accepted, room.recorded,
    room.ended, room.backlog, room.missing, rate_in_force(room), room.oldest_us, room.form_us,
    beacon, commitment or '' }
