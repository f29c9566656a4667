-- flood: a million messages to one that is slow. Prints `key: value` lines.
--
--   Work {}   taken, slowly
local Flood = {}

local SENDS, LIMIT, SIZE = 1000000, 1000, 1000

local function resident_mib()
  local file <close> = assert(io.open("/proc/self/statm"))
  return tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096 / (1 << 20)
end

function Flood:on_start()
  if self.config.slow then return end
  local slow = assert(actor.spawn("flood", {
    config = { slow = true }, mailbox = { limit = LIMIT, overflow = "wait" },
  }))
  local load = { text = ("x"):rep(SIZE) }
  local before, sent, full, other = resident_mib(), 0, 0, 0
  for _ = 1, SENDS do
    local ok, why = slow:try_send("Work", load)
    if ok then sent = sent + 1
    elseif why.reason == "full" then full = full + 1
    else other = other + 1 end
  end
  print("sent: " .. sent)
  print("full: " .. full)
  print("other: " .. other)

  local began = actor.now()
  local ok, why = slow:send("Work", load, { timeout = "1ms" })
  while ok do ok, why = slow:send("Work", load, { timeout = "1ms" }) end
  print("waited: " .. tostring(why.reason) .. " " .. tostring(actor.now() - began < 5))
  print("room: " .. tostring(slow:send("Work", load, { timeout = "20s" }))) -- waits for it
  print("grown_mib: " .. resident_mib() - before)
  actor.stop_host(0)
end

function Flood:on_work()
  actor.sleep("5ms")
end

return Flood
