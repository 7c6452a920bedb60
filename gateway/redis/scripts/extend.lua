-- extend: lengthen a batch of passes by one life each, twice at most.
--
-- ARGV[2…]  number, serial, …  in pairs
-- returns   one {word, instant_us} per pair: extended (expiry) · exhausted · ended
-- O(passes). Twin of core/passes.extend.

local EXTENSIONS_MAX = 2

local room, refusal = load_room()
if refusal then
    return refusal
end
local answers = {}
for index = 2, #ARGV, 2 do
    local number, serial = ARGV[index], tonumber(ARGV[index + 1])
    local held = pass_of(number)
    if not held or held.serial ~= serial then
        answers[#answers + 1] = { 'ended', 0 }
    elseif held.extensions >= EXTENSIONS_MAX then
        answers[#answers + 1] = { 'exhausted', 0 }
    else
        held.extensions = held.extensions + 1
        write_pass(number, held)
        redis.call('ZINCRBY', EXPIRIES, whole(room.pass_ttl_us), number)
        answers[#answers + 1] = { 'extended', expiry_instant(room, number) }
    end
end
return answers
