-- extend: lengthen a batch of passes by one life each, twice at most.
--
-- ARGV[2…]  number, serial, extensions that its holder has seen, …  in threes; where there are more, the answer
--           to one was lost, and is given again
-- returns   one {word, instant_us} each: extended (expiry) · exhausted · ended
-- O(passes). Twin of core/passes.extend.

local EXTENSIONS_MAX = 2

local room, refusal = load_room()
if refusal then
    return refusal
end
local answers = {}
for index = 2, #ARGV, 3 do
    local number, serial, seen = ARGV[index], tonumber(ARGV[index + 1]), tonumber(ARGV[index + 2])
    local held = pass_of(number)
    if not held or held.serial ~= serial then
        answers[#answers + 1] = { 'ended', 0 }
    elseif held.extensions > seen then
        answers[#answers + 1] = { 'extended', expiry_instant(room, number) }
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
