-- look: how a batch of called visitors stands; notes that those who may claim are there.
--
-- ARGV[2…]  number, position, … in pairs; position -1 where there is none
-- returns   one {word, serial, instant_us, extensions, receipt} per pair:
--           called · admitted (serial, expiry, extensions) · registered (receipt) · left · missed
-- O(pairs). Twin of core/passes.look.

local room, refusal = load_room()
if refusal then
    return refusal
end
local answers = {}
for index = 2, #ARGV, 2 do
    local number, position = ARGV[index], tonumber(ARGV[index + 1])
    local ending, spent = ending_of(number)
    local held = not ending and pass_of(number)
    if ending then
        answers[#answers + 1] = { ending, 0, 0, 0, spent and string.match(spent, '^[^:]+') or '' }
    elseif held then
        answers[#answers + 1] =
            { 'admitted', held.serial, expiry_instant(room, number), held.extensions, '' }
    else
        if position >= 0 and position < room.called then
            mark_present(room, position)
        end
        answers[#answers + 1] = { 'called', 0, 0, 0, '' }
    end
end
return answers
