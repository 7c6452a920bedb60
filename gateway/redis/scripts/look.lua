-- look: how a batch of called visitors stands. Changes nothing: a place is kept free by claiming, not by looking.
--
-- ARGV[2…]  numbers
-- returns   one {word, serial, instant_us, extensions, receipt} per number:
--           called · admitted (serial, expiry, extensions) · registered (receipt) · left · missed
-- O(numbers). Twin of core/passes.look.

local room, refusal = load_room()
if refusal then
    return refusal
end
local answers = {}
for index = 2, #ARGV do
    local number = ARGV[index]
    local ending, spent = ending_of(number)
    local held = not ending and pass_of(number)
    if ending then
        answers[#answers + 1] = { ending, 0, 0, 0, spent and string.match(spent, '^[^:]+') or '' }
    elseif held then
        answers[#answers + 1] =
            { 'admitted', held.serial, expiry_instant(room, number), held.extensions, '' }
    else
        answers[#answers + 1] = { 'called', 0, 0, 0, '' }
    end
end
return answers
