-- join: give the next numbers to a batch of newcomers.
--
-- ARGV[2]  newcomers in the batch, >= 1
-- returns  {'joined', first number, now_us, phase, epoch}; {phase} when the wave takes nobody,
--          prequeue or open among them: the policy has paused joins.
-- O(1), one write. Numbers are never given twice; those of a lost answer are gaps.
-- Twin of core/passes.join.

local room, refusal = load_room()
if refusal then
    return refusal
end
if (room.phase ~= 'prequeue' and room.phase ~= 'open') or room.joins_paused == 1 then
    return { room.phase }
end
local first = room.issued
room.issued = first + tonumber(ARGV[2])
save_room(room)
return { 'joined', first, server_us(), room.phase, room.epoch }
