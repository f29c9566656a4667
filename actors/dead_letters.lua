-- dead_letters: watches over the messages of this host that came to nothing: counts them,
-- says so in the log now and then, and can send one again.
--
--   DeadLetter { id, type, from, to, reason, text, missed }   from the host, for each
--   Stats {}      replies Stats { total, missed, by_reason, by_target, by_type }: how many there were
--                 since the host began; missed were not told of (its mailbox was full); the three are
--                 { name = count }, with the rest under "(others)"
--   List { limit = integer?, reason = string?, to = string?, type = string? }   replies Letters { letters }:
--                 the newest so many (100) that are kept still and are like that, oldest first:
--                 { id, type, from, to, reason, text, age = seconds }
--   Retry { id = integer, again = boolean? }   sends that one again to its receiver, once unless `again`;
--                 replies Retried { id, type, to }, or fails: it is not kept any more, its
--                 receiver has ended or has no room. What is asked was refused to its
--                 asker long ago, so it is sent, by this actor; what is answered to it is dropped.
--   any other message  is refused if it was asked, and dropped if not
--
-- Retry is refused from other hosts.
--
-- Config: every = "10s" (at most one line in the log in such a span, if there were any; 0: none),
-- names = 1000 (of targets, and of types, that are counted apart).
local config = require "troupe.config"

local DeadLetters = { version = 1, mailbox = { limit = 10000 } }

local OTHERS = "(others)"
local TARGET_ROOM = 127 -- bytes of a receiver's name that are kept
local NEWEST = 100

local FIELDS = {
  every = { kind = "duration", default = "10s" },
  names = { kind = "count", default = 1000, least = 1, most = 100000 },
}

actor.message("List", { limit = "integer?", reason = "string?", to = "string?", type = "string?" })
actor.message("Retry", { id = "integer", again = "boolean?" })

local function new_counts()
  return { names = 0, counts = {} }
end

local function count(self, table, name)
  if not table.counts[name] then
    if table.names >= self.settings.names then name = OTHERS else table.names = table.names + 1 end
  end
  table.counts[name] = (table.counts[name] or 0) + 1
end

local function note(self, letter)
  count(self, self.by_reason, letter.reason)
  count(self, self.by_target, letter.to)
  count(self, self.by_type, letter.type)
end

function DeadLetters:on_start()
  self.settings = config.read(self.config, FIELDS)
  self.by_reason, self.by_target, self.by_type = new_counts(), new_counts(), new_counts()
  self.missed, self.retried = 0, {}
  self.recent = nil -- { count, reasons, last }: since the last line in the log
  self.timer_id = actor.next_timer_id()
  assert(actor.watch_dead_letters())
  -- What died before is counted as far as it is kept; the host may also send it as it is told of.
  local kept = actor.dead_letters { limit = math.maxinteger }
  self.counted = kept[#kept] and kept[#kept].id or 0
  for _, letter in ipairs(kept) do note(self, letter) end
end

--------------------------------------------------------------- the log ----

local function tell_later(self, letter)
  if self.settings.every == 0 then return end
  if not self.recent then
    self.recent = { count = 0, reasons = {} }
    actor.after(self.settings.every, self.timer_id)
  end
  local recent = self.recent
  recent.count = recent.count + 1 + letter.missed
  recent.reasons[letter.reason] = (recent.reasons[letter.reason] or 0) + 1
  recent.last = letter
end

-- One line, as: 12 dead letters in the last 10 s {down=9 full=3 last="Price for shop: ..."}
function DeadLetters:on_timeout(msg)
  if msg.id ~= self.timer_id then return end
  local recent, fields = self.recent, {}
  for reason, number in pairs(recent.reasons) do fields[reason] = number end
  fields.last = ("%s for %s: %s"):format(recent.last.type, recent.last.to, recent.last.text)
  log.warn(("%d dead letter%s in the last %g s"):format(recent.count, recent.count == 1 and "" or "s",
                                                        self.settings.every), fields)
  self.recent = nil
end

function DeadLetters:on_dead_letter(letter)
  if letter.id <= self.counted then return end
  self.missed = self.missed + letter.missed
  note(self, letter)
  tell_later(self, letter)
end

--------------------------------------------------------------- answers ----

function DeadLetters:on_stats(_, env)
  env:reply("Stats", {
    total = actor.metrics().dead_letters,
    missed = self.missed,
    by_reason = self.by_reason.counts,
    by_target = self.by_target.counts,
    by_type = self.by_type.counts,
  })
end

local function is_like(letter, wanted)
  return (not wanted.reason or letter.reason == wanted.reason) and (not wanted.to or letter.to == wanted.to)
    and (not wanted.type or letter.type == wanted.type)
end

function DeadLetters:on_list(msg, env)
  local limit, found, letters = msg.limit or NEWEST, {}, json.array {}
  if limit < 1 then return env:fail("Bad field 'limit' in List: it is less than 1") end
  local kept = actor.dead_letters { limit = math.maxinteger }
  for i = #kept, 1, -1 do
    if #found == limit then break end
    if is_like(kept[i], msg) then table.insert(found, kept[i]) end
  end
  for i = #found, 1, -1 do
    local letter = found[i]
    table.insert(letters, {
      id = letter.id, type = letter.type, from = letter.from, to = letter.to,
      reason = letter.reason, text = letter.text, age = letter.age,
    })
  end
  env:reply("Letters", { letters = letters })
end

-- Its receiver; or nil and why there is none.
local function receiver_of(letter)
  if letter.ref then return letter.ref end
  if #letter.to >= TARGET_ROOM then return nil, "its receiver's name is too long to be kept" end
  local fine, ref = pcall(actor.ref, letter.to)
  if not fine then return nil, ("'%s' can be no address"):format(letter.to) end
  return ref
end

-- Forgets what was sent again and is not kept any more.
local function prune(self)
  local oldest = actor.dead_letters { limit = math.maxinteger }[1]
  for id in pairs(self.retried) do
    if not oldest or id < oldest.id then self.retried[id] = nil end
  end
end

function DeadLetters:on_retry(msg, env)
  if env.remote then return env:fail("Retry is refused from other hosts") end
  local letter = msg.id >= 1 and actor.dead_letters({ id = msg.id })[1]
  if not letter then return env:fail(("no dead letter %d is kept"):format(msg.id)) end
  if self.retried[msg.id] and not msg.again then
    return env:fail(("dead letter %d was sent again already (again = true does it once more)"):format(msg.id))
  end
  local ref, why = receiver_of(letter)
  if not ref then return env:fail(("dead letter %d cannot be sent again: %s"):format(msg.id, why)) end
  local fine, sent, because = pcall(ref.try_send, ref, letter.type, letter.msg)
  if not fine then sent, because = nil, sent end
  if not sent then return env:fail(("dead letter %d was not sent again: %s"):format(msg.id, tostring(because))) end
  prune(self)
  self.retried[msg.id] = true
  env:reply("Retried", { id = msg.id, type = letter.type, to = letter.to })
end

function DeadLetters:on_any(_, env)
  if env.asked then env:discard("Unknown message type: " .. env.type) end
end

return DeadLetters
