-- leave: end a batch of tickets, releasing their passes. Leaving twice is one leaving.
--
-- ARGV[2…]  number, position, …  in pairs; position -1 before the draw
-- returns   one word per pair: left · registered · missed
-- O(tickets). Twin of core/passes.leave.

local room, refusal = load_room()
if refusal then
    return refusal
end
local answers = {}
for index = 2, #ARGV, 2 do
    local number, position = ARGV[index], tonumber(ARGV[index + 1])
    local ending = ending_of(number)
    if not ending then
        drop_pass(number)
        set_bit(room, LEFT, number)
        room.ended = room.ended + 1
        if position >= 0 then
            mark_absent(position)
        end
    end
    answers[#answers + 1] = ending or 'left'
end
save_room(room)
return answers
