-- step: bring wave clock, phase and bucket up to the server's time; part of tick and claim.
--
-- Twin of core/room.step, core/calling.next_phase, stock_target, widen and core/bucket.
-- O(1); the opening counts the near window once.

local TOKEN = 1000000000 -- units of the bucket in one token
local STEP_US_MAX = 1000000
local NEAR_STOCKS = 3
local PRESENT_SHARE_MIN = 1 / 32

local function next_phase(room, now_us)
    if room.phase == 'recovering' then
        return 'recovering' -- until recovery itself reopens it
    end
    if room.phase == 'closed' or now_us >= room.closes_at_us then
        return 'closed'
    end
    if room.phase == 'open' or room.phase == 'full' or now_us >= room.opens_at_us then
        return room.accepted >= room.quota and 'full' or 'open'
    end
    if room.phase == 'prequeue' or now_us >= room.prequeue_at_us then
        return 'prequeue'
    end
    return 'scheduled'
end

local function stock_target(room)
    return math.max(1, math.ceil(room.rate_milli_per_s * room.check_in_us / 1000000000))
end

local function widen(room)
    local needed = NEAR_STOCKS * stock_target(room)
    local have = count(PRESENT, room.called, room.near)
    local share = math.max((have + 1) / (room.near - room.called + 1), PRESENT_SHARE_MIN)
    local more = math.ceil(math.max(0, needed - have) / share)
    return math.max(room.near, room.called + needed, math.min(room.near + more, room.issued + needed))
end

local function is_admitting(room)
    return room.phase == 'open' and not is_frozen(room)
end

local function step(room)
    local now_us = server_us()
    local elapsed_us = math.min(math.max(now_us - room.last_us, 0), STEP_US_MAX)
    room.last_us = now_us
    if not is_frozen(room) then
        room.clock_us = room.clock_us + elapsed_us
    end
    local before = room.phase
    room.phase = next_phase(room, now_us)
    local opened = room.phase == 'open' or room.phase == 'full'
    if opened and before ~= 'open' and before ~= 'full' then
        room.cohort, room.turned_us, room.level = room.issued, room.clock_us, 0
        room.called, room.near = 0, 0
        room.near = widen(room)
    elseif is_admitting(room) then
        local level = room.level + room.rate_milli_per_s * elapsed_us
        room.level = math.min(level, room.burst * TOKEN)
    end
    if not is_admitting(room) then
        room.level = 0 -- a pause or an opening pays for no past
    end
end
