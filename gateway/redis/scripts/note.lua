-- note: append an audit record of what has changed nothing: a refusal, or what came of a revision.
--
-- ARGV[2]  revision whose result this is, noted once; 0: any other record
-- ARGV[3…] field, value, … of the audit record
-- returns  1 noted, 0 the result of this revision or a later one was noted before
-- O(1).

local room, refusal = load_room(true)
if refusal then
    return refusal
end
local revision = tonumber(ARGV[2])
if revision > 0 then
    if revision <= tonumber(redis.call('HGET', POLICY, 'noted') or 0) then
        return 0
    end
    redis.call('HSET', POLICY, 'noted', whole(revision))
end
note(room, unpack(ARGV, 3))
return 1
