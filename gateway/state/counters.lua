-- Counts for one license, by the rules of `gateway/state/rules.py`, in one atomic step.
--
-- KEYS  1 the counters: how much is used and since when, two doubles for each limit that counts,
--         2 the slots (holders by expiry),
--         3 what exists while values of the license are kept; only for "take"
-- ARGV  1 the slot,
--       2 `HEAD`: operation, time in microseconds or 0 for the server's clock, how long the slot
--         lives in microseconds and the counters in seconds; then a `RULE` for each: its index among
--         the counters, kind, limit, amount, start and end of its window in seconds
--
-- "take" returns doubles: the number of the refused rule or 0, its wait, the time, the sum of 1 if
-- values are kept and of the `FOLLOWING` windows that it was counted in, and how much of each rule is
-- used. "settle" adds the amounts, which may be negative, and gives the slot back. "seed" raises
-- windows to the amounts.
--
-- Numbers are sent as doubles: as texts, reading and writing them took two thirds of a call.

local MINUTE, SLACK, SLOT_WAIT = 60000000, 1e-6, 1000000
local RATE, SLOTS = 0, 2
local HEAD, RULE, RULE_BYTES = '<Bddd', '<BBdddd', 34
local PLACE, KIND, LIMIT, AMOUNT, START, FINISH = 1, 2, 3, 4, 5, 6
-- By index, the flag of a day, or month, that is counted with the following one.
local DAY, MONTH = 2, 4
local FOLLOWING = { [3] = DAY, [4] = DAY, [5] = MONTH, [6] = DAY, [7] = MONTH }
local COUNTERS, COUNTERS_BYTES = '<dddddddddddddd', 112

local slot, request = ARGV[1], ARGV[2]
local what, now, slot_life, counters_life, first = struct.unpack(HEAD, request)
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local rules = {}
for at = first, #request, RULE_BYTES do
  rules[#rules + 1] = { struct.unpack(RULE, request, at) }
end

-- A counter without a count has been so since 0.
local kept = redis.call('GET', KEYS[1])
local counters = kept and #kept == COUNTERS_BYTES and { struct.unpack(COUNTERS, kept) } or { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

-- The day and the month that a take was counted in, or 0.
local day, month = 0, 0

local function since(rule) return counters[2 * rule[PLACE]] end

local function read(rule)
  local kind = rule[KIND]
  if kind == SLOTS then return redis.call('ZCOUNT', KEYS[2], string.format('(%.17g', now), '+inf') end
  local used = counters[2 * rule[PLACE] - 1]
  if kind == RATE then
    -- While a clock is behind, nothing flows.
    local elapsed = math.max(0, now - since(rule))
    return math.max(0, used - elapsed * rule[LIMIT] / MINUTE)
  end
  -- Going back in time keeps the count: a clock fault must give no fresh quota.
  return rule[START] > since(rule) and 0 or used
end

local function write(rule, used)
  local kind, at = rule[KIND], 2 * rule[PLACE]
  if kind == SLOTS then return end
  counters[at - 1] = used
  if kind == RATE then
    counters[at] = now
  elseif counters[at] ~= rule[FINISH] then
    -- A clock that stepped back over midnight and returns must find the day as it left it.
    counters[at] = rule[START]
  elseif FOLLOWING[rule[PLACE]] == DAY then
    day = DAY
  else
    month = MONTH
  end
end

local function keep()
  redis.call('SET', KEYS[1], struct.pack(COUNTERS, unpack(counters, 1, 14)), 'EX', counters_life)
end

local function wait(rule, used)
  if rule[KIND] == SLOTS then return SLOT_WAIT end
  if rule[KIND] == RATE then return (used + 1 - rule[LIMIT]) * MINUTE / rule[LIMIT] end
  return rule[FINISH] * 1000000 - now
end

local function refused_one(used)
  local refused, longest = 0, 0
  for i, rule in ipairs(rules) do
    if rule[AMOUNT] > 0 and used[i] + 1 > rule[LIMIT] + SLACK then
      local own = wait(rule, used[i])
      if own > longest then refused, longest = i, own end
    end
  end
  return refused, longest
end

local function admit(used)
  for i, rule in ipairs(rules) do
    used[i] = used[i] + rule[AMOUNT]
    write(rule, used[i])
  end
  -- Before all other writes: a server that is out of memory refuses this, and so the whole take.
  keep()
  if slot ~= '' then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.17g', now))
    redis.call('ZADD', KEYS[2], string.format('%.17g', now + slot_life), slot)
    redis.call('EXPIRE', KEYS[2], counters_life)
  end
end

-- Rates would stand still until a clock that stepped back has caught up: they continue from now.
local function bring_back(used)
  local found = false
  for i, rule in ipairs(rules) do
    if rule[KIND] == RATE and since(rule) > now then
      write(rule, used[i])
      found = true
    end
  end
  if found then keep() end
end

local function take()
  local used = {}
  for i, rule in ipairs(rules) do used[i] = read(rule) end
  local refused, longest = refused_one(used)
  if refused == 0 then admit(used) else bring_back(used) end
  -- Not EXISTS, after which a server that is out of memory would evict it first.
  local kept = redis.call('TOUCH', KEYS[3])
  return struct.pack('<dddd' .. string.rep('d', #used), refused, longest, now, kept + day + month, unpack(used))
end

local function over(rule)
  return rule[KIND] ~= RATE and since(rule) ~= rule[START]
end

local function seed()
  local found = false
  for _, rule in ipairs(rules) do
    -- A server that came back empty may have counted before it was seeded.
    if over(rule) or read(rule) < rule[AMOUNT] then
      write(rule, rule[AMOUNT])
      found = true
    end
  end
  if found then keep() end
  return 0
end

local function settle()
  -- Before the counters, which a server that is out of memory would refuse to write.
  if slot ~= '' then redis.call('ZREM', KEYS[2], slot) end
  local found = false
  for _, rule in ipairs(rules) do
    -- What was taken from a past window is gone with it.
    if since(rule) > 0 and not over(rule) then
      write(rule, math.max(0, read(rule) + rule[AMOUNT]))
      found = true
    end
  end
  if found then keep() end
  return 0
end

return ({ take, settle, seed })[what]()
