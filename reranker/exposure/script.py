"""The one script of the ledger on Redis: states of requests change and sums grow in one step, or nothing happens."""

from __future__ import annotations

from reranker.store import Script

WRITE = Script("""
-- KEYS: meta, changed, the lines' hashes, the requests' names.
-- ARGV: how long requests live (ms), a birth, how many lines' hashes and how many events there are;
--   for each hash: how long it lives (s), its member in `changed`, the words of its stream. Without words something is
--   taken back of a stream whose words are there already, or which has expired;
--   for each event: its first name among the names, how many it has, the state that it expects, the state that it
--   leaves, how many lines it adds to, and for each: which hash, the value, exposure, target, items, price, relevance.
-- Reply: for each event 1, or the state that was found in place of the one it expects.
local at = 0
local function take() at = at + 1; return ARGV[at] end
local request_ms, birth, hashes, events = take(), take(), tonumber(take()), tonumber(take())
local names_from = 2 + hashes
local hash = {}
for n = 1, hashes do
    hash[n] = {key = KEYS[2 + n], seconds = take(), member = take(), words = take(), order = {}, sums = {}}
end

-- 1. Which events find what they expect, those before them in this batch being done.
local known, fresh, written, replies, done = {}, {}, {}, {}, 0
local function state_of(name)
    if known[name] == nil then
        known[name] = redis.call('GET', name)
        fresh[name] = not known[name]
    end
    return known[name]
end
local KINDS = {'e', 't', 'i', 'p', 'r'}
for n = 1, events do
    local first, names, expected, left, lines = tonumber(take()), tonumber(take()), take(), take(), tonumber(take())
    first = first + names_from
    local name, found = KEYS[first], ''
    for i = first, first + names - 1 do
        local state = state_of(KEYS[i])
        if state then name, found = KEYS[i], state; break end
    end
    local agrees = found == expected
    if agrees then
        known[name], written[name], replies[n], done = left, true, 1, done + 1
    else
        replies[n] = found
    end
    for _ = 1, lines do
        local into, value = hash[tonumber(take())], take()
        for kind = 1, 5 do
            local field, amount = KINDS[kind] .. value, take()
            if agrees and amount ~= '0' then
                if into.sums[field] == nil then
                    into.order[#into.order + 1] = field
                    into.sums[field] = 0
                end
                into.sums[field] = into.sums[field] + tonumber(amount)
            end
        end
    end
end
if done == 0 then return replies end

-- 2. A script that fails half-way is not undone, so whatever could fail is looked at before anything is written.
local function is(key, kind)
    local found = redis.call('TYPE', key).ok
    return found == kind or found == 'none'
end
local function whole(held) -- what HINCRBY takes
    return held == '0' or #held < 19 and string.match(held, '^-?[1-9]%d*$') ~= nil
end
local function finite(held) -- what HINCRBYFLOAT takes
    local number = #held < 400 and string.match(held, '^-?%d[%d.e+-]*$') and tonumber(held)
    return number and math.abs(number) < 1e300
end
local sound = is(KEYS[1], 'hash') and is(KEYS[2], 'zset')
sound = sound and whole(redis.call('HGET', KEYS[1], 'version') or '0')
for _, into in ipairs(hash) do
    sound = sound and is(into.key, 'hash')
    for i = 1, sound and #into.order or 0 do
        local field = into.order[i]
        local held = redis.call('HGET', into.key, field)
        local like = string.sub(field, 1, 1) == 'r' and finite or whole
        sound = sound and (not held or like(held))
    end
end
if not sound then return redis.error_reply('WRONGTYPE the exposure ledger holds what it never wrote') end

-- 3. Write.
for name in pairs(written) do
    if fresh[name] then
        redis.call('SET', name, known[name], 'PX', request_ms)
    else
        redis.call('SET', name, known[name], 'KEEPTTL')
    end
end
redis.call('HSETNX', KEYS[1], 'birth', birth)
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
for _, into in ipairs(hash) do
    if #into.order > 0 and (into.words ~= '' or redis.call('EXISTS', into.key) == 1) then
        for _, field in ipairs(into.order) do
            if string.sub(field, 1, 1) == 'r' then
                redis.call('HINCRBYFLOAT', into.key, field, string.format('%.17g', into.sums[field]))
            else
                redis.call('HINCRBY', into.key, field, string.format('%.0f', into.sums[field]))
            end
        end
        if into.words ~= '' then
            redis.call('HSET', into.key, 'w', into.words)
            redis.call('EXPIRE', into.key, into.seconds)
        end
        redis.call('ZADD', KEYS[2], version, into.member)
    end
end
-- The two that were not written to for the longest are the first to expire.
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, 1)) do
    if redis.call('EXISTS', string.sub(KEYS[2], 1, -8) .. 's:' .. member) == 0 then
        redis.call('ZREM', KEYS[2], member)
    end
end
return replies
""")
