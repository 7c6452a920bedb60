-- step: bring wave clock, phase and bucket up to the server's time; part of tick and claim.
--
-- Twin of core/room.step, core/steering, core/calling.next_phase, stock_target,
-- near_at_opening, core/clock.confirmed_us and core/bucket. O(1).

local TOKEN = 1000000000 -- units of the bucket in one token
local STEP_US_MAX = 1000000
local NEAR_STOCKS = 3
local PRESENT_SHARE_MIN = 1 / 32
local OPENING_SPREAD_US = 60000000
local UNSTEERED_US_MAX = 15000000
local APART_US_MAX = 5000000 -- a process's clock and the server's, for the one to confirm the other

local function closes_us(room) -- the policy's, or the programme's
    return room.closing_us > 0 and room.closing_us or room.closes_at_us
end

-- The instant by which phases go: now, as far as a caller's own clock has confirmed it. Phases are for good.
local function confirmed_us(room, now_us)
    return math.abs(now_us - room.agreed_us) <= APART_US_MAX and now_us or room.agreed_us
end

local function next_phase(room, now_us)
    if room.phase == 'recovering' then
        return 'recovering' -- until recovery itself reopens it
    end
    if room.phase == 'closed' or now_us >= closes_us(room) then
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

-- The policy's rate, or less while the autopilot holds it; one that fell silent leaves the floor.
local function rate_in_force(room)
    if room.autopilot == 0 or room.steered_milli_per_s == 0 then
        return room.rate_milli_per_s
    end
    local silent = room.unsteered_us > UNSTEERED_US_MAX
    local steered = silent and room.floor_milli_per_s or room.steered_milli_per_s
    return math.min(room.rate_milli_per_s, steered)
end

local function stock_target(room)
    return math.max(1, math.ceil(rate_in_force(room) * room.check_in_us / 1000000000))
end

local function near_at_opening(room)
    local target = stock_target(room)
    local intervals = math.max(1, math.ceil(OPENING_SPREAD_US / room.check_in_us))
    return math.min(math.ceil(target * intervals / PRESENT_SHARE_MIN), room.issued + NEAR_STOCKS * target)
end

local function is_admitting(room)
    return room.phase == 'open' and not is_frozen(room)
end

local function step(room)
    local now_us = server_us()
    local elapsed_us = math.min(math.max(now_us - room.last_us, 0), STEP_US_MAX)
    room.last_us = now_us
    room.furthest_us = math.max(now_us, room.furthest_us + elapsed_us)
    room.unsteered_us = math.min(room.unsteered_us + room.autopilot * elapsed_us, UNSTEERED_US_MAX + 1)
    if not is_frozen(room) then
        room.clock_us = room.clock_us + elapsed_us
    end
    local before = room.phase
    room.phase = next_phase(room, confirmed_us(room, now_us))
    local opened = room.phase == 'open' or room.phase == 'full'
    if opened and before ~= 'open' and before ~= 'full' then
        room.cohort, room.turned_us, room.level = room.issued, room.clock_us, 0
        room.called, room.near = 0, near_at_opening(room)
    elseif is_admitting(room) then
        local level = room.level + rate_in_force(room) * elapsed_us
        room.level = math.min(level, room.burst * TOKEN)
    end
    if not is_admitting(room) then
        room.level = 0 -- a pause or an opening pays for no past
    end
end
