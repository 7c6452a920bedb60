-- lease: take the autopilot's lease, or renew it. One of all deliveries holds it.
--
-- KEYS[1]  lease   hash   holder, fence, until_us; TTL: none, one key of a whole deployment
-- ARGV[1]  holder  the caller's name
-- ARGV[2]  life_us how long it holds unless renewed, us, >= 1
-- returns  the fence, or 0 where another holds it
-- O(1). A new holder gets a greater fence than any before: Redis TIME, or the last one and 1 where the clock
-- went back. What it guards compares fences, so a holder that slept through its lease does no harm.
-- Twin of core/steering.take.

local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local values = redis.call('HMGET', KEYS[1], 'holder', 'fence', 'until_us')
local fence, until_us = tonumber(values[2] or 0), tonumber(values[3] or 0)
local life_us = tonumber(ARGV[2])
-- An end further off than a whole life is proof that the clock went back.
local is_held = now_us < until_us and until_us <= now_us + life_us
if values[1] ~= ARGV[1] then
    if is_held then
        return 0
    end
    fence = math.max(fence + 1, now_us)
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'fence', string.format('%.0f', fence),
    'until_us', string.format('%.0f', now_us + life_us))
return fence
