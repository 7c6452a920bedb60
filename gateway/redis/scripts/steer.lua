-- steer: hold the rate below the policy's, unless somebody with a later lease has done so.
--
-- ARGV[2]  fence, of the caller's lease: an instant in us, later leases have greater ones
-- ARGV[3]  rate to hold, thousandths per second, >= 1
-- returns  1 held, 0 refused: a later lease is in use
-- O(1). Twin of core/steering.steer.

local room, refusal = load_room()
if refusal then
    return refusal
end
if tonumber(ARGV[2]) < room.fence then
    return 0
end
step(room) -- a change of rate pays for no past
room.fence, room.steered_milli_per_s, room.unsteered_us = tonumber(ARGV[2]), tonumber(ARGV[3]), 0
save_room(room)
return 1
