-- Counts for one license, by the rules of `gateway/state/rules.py`, in one atomic step.
--
-- KEYS  1 the counters (a hash: name -> used, name@ -> since), 2 the slots (holders by expiry)
-- ARGV  1 "take", "settle" or "seed", 2 now in microseconds or "" for the server's clock,
--       3 the slot, 4 how long it lives in microseconds, 5 how long the counters live in seconds,
--       6 the rules, each six words: name, kind, limit, amount, start and end of its window in
--       seconds
--
-- "take" answers: the number of the refused rule or 0, its wait, now, and how much of each rule is
-- used. "settle" adds the amounts, which may be negative, and gives the slot back. "seed" sets the
-- amounts of windows that nothing was counted in yet.

local MINUTE, SLACK, SLOT_WAIT = 60000000, 1e-6, 1000000

local what, now, slot = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local function exact(number)
  return string.format('%.17g', number)
end

-- A clock that stepped back lets nothing flow.
local function rate(rule)
  local elapsed = math.max(0, now - rule.since)
  return math.max(0, rule.used - elapsed * rule.limit / MINUTE)
end

-- Going back in time keeps the count: a clock fault must give no fresh quota.
local function window(rule)
  if rule.start > rule.since then return 0 end
  return rule.used
end

local function slots()
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', exact(now))
  return redis.call('ZCARD', KEYS[2])
end

local USED = { rate = rate, day = window, month = window, slots = slots }

local function window_wait(rule) return rule.finish * 1000000 - now end
local WAIT = {
  rate = function(rule, used) return (used + 1 - rule.limit) * MINUTE / rule.limit end,
  day = window_wait,
  month = window_wait,
  slots = function() return SLOT_WAIT end,
}

local RULE = '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)'

local function read_rules()
  local rules, fields = {}, {}
  for name, kind, limit, amount, start, finish in string.gmatch(ARGV[6], RULE) do
    rules[#rules + 1] = {
      name = name, kind = kind, limit = tonumber(limit), amount = tonumber(amount),
      start = tonumber(start), finish = tonumber(finish),
    }
    fields[#fields + 1] = name
    fields[#fields + 1] = name .. '@'
  end
  if #rules == 0 then return rules end
  local known = redis.call('HMGET', KEYS[1], unpack(fields))
  for i, rule in ipairs(rules) do
    rule.known = known[2 * i - 1]
    rule.used = tonumber(rule.known or '0')
    rule.since = tonumber(known[2 * i] or '0')
  end
  return rules
end

-- A clock that stepped back over midnight and returns must find the day as it left it.
local function since(rule)
  if rule.kind == 'rate' then return now end
  if rule.since == rule.finish then return rule.since end
  return rule.start
end

local function write(rules)
  local fields = {}
  for _, rule in ipairs(rules) do
    if rule.kind ~= 'slots' then
      fields[#fields + 1] = rule.name
      fields[#fields + 1] = exact(rule.used)
      fields[#fields + 1] = rule.name .. '@'
      fields[#fields + 1] = exact(since(rule))
    end
  end
  if #fields > 0 then
    redis.call('HSET', KEYS[1], unpack(fields))
    redis.call('EXPIRE', KEYS[1], ARGV[5])
  end
end

-- Rates that would stand still until a clock that stepped back has caught up.
local function from_the_future(rules)
  local found = {}
  for _, rule in ipairs(rules) do
    if rule.kind == 'rate' and rule.since > now then found[#found + 1] = rule end
  end
  return found
end

local function take(rules)
  local refused, longest = 0, 0
  for i, rule in ipairs(rules) do
    rule.used = USED[rule.kind](rule)
    if rule.amount > 0 and rule.used + 1 > rule.limit + SLACK then
      local wait = WAIT[rule.kind](rule, rule.used)
      if wait > longest then refused, longest = i, wait end
    end
  end
  if refused == 0 then
    for _, rule in ipairs(rules) do rule.used = rule.used + rule.amount end
    write(rules)
    if slot ~= '' then
      redis.call('ZADD', KEYS[2], exact(now + ARGV[4]), slot)
      redis.call('EXPIRE', KEYS[2], ARGV[5])
    end
  end
  if refused ~= 0 then write(from_the_future(rules)) end
  local answer = { refused, exact(longest), exact(now) }
  for _, rule in ipairs(rules) do answer[#answer + 1] = exact(rule.used) end
  return answer
end

local function over(rule)
  return rule.kind ~= 'rate' and rule.since ~= rule.start
end

local function seed(rules)
  local unknown = {}
  for _, rule in ipairs(rules) do
    if over(rule) then
      rule.used = rule.amount
      unknown[#unknown + 1] = rule
    end
  end
  write(unknown)
  return 0
end

local function settle(rules)
  local changed = {}
  for _, rule in ipairs(rules) do
    -- What was taken from a window that is over has gone with it.
    if rule.known and not over(rule) then
      rule.used = math.max(0, USED[rule.kind](rule) + rule.amount)
      changed[#changed + 1] = rule
    end
  end
  write(changed)
  if slot ~= '' then redis.call('ZREM', KEYS[2], slot) end
  return 0
end

local DO = { take = take, settle = settle, seed = seed }
return DO[what](read_rules())
