-- Reloads under load, in a real host with several workers: about 50,000 messages a
-- second from several senders to 100 instances, while versions come and go, good
-- and bad ones. Each message is handled exactly once, in its sender's order, by one
-- version or the other; and what is refused leaves no trace.
local json = require "troupe.json"
local process = require "spec.support.process"
local program = require "spec.support.program"

local RELOADS = program.is_sanitized and 40 or 200
local WORKERS = program.is_sanitized and 30 or 100
local BURST   = program.is_sanitized and 20 or 125 -- of each sender, each 10 ms
local SENDERS = 4

-- Checks what comes, and counts what each version of it has handled.
local WORKER = [[
  local Worker = { version = %d, mailbox = { limit = 5000 } }
  function Worker:on_start() self.last, self.by, self.wrong, self.reloads = {}, {}, 0, 0 end
  function Worker:on_work(msg)
    local last = self.last[msg.from] or 0
    if msg.n ~= last + 1 then self.wrong = self.wrong + 1 end
    self.last[msg.from] = msg.n
    local key = tostring(Worker.version)
    self.by[key] = (self.by[key] or 0) + 1
  end
  function Worker:on_reload(from)
    if from ~= 0 and type(from) ~= "number" then error("from what?") end
    self.reloads = self.reloads + 1
    %s
  end
  function Worker:on_report(_, env)
    env:reply("Report", { last = self.last, by = self.by, wrong = self.wrong, reloads = self.reloads })
  end
  return Worker
]]

-- Sends numbered work to each worker in turn, and says at the end how much to whom.
local SENDER = [[
  local Sender = {}
  function Sender:on_start()
    self.sent, self.next = {}, 1
    for i = 1, self.config.workers do self.sent[i] = 0 end
    self.timer = actor.every("10ms", "Burst")
  end
  function Sender:on_burst()
    for _ = 1, self.config.burst do
      local i = self.next
      local ok, why = actor.ref("worker" .. i):send("Work", { from = actor.name, n = self.sent[i] + 1 }, { timeout = "60s" })
      if not ok then error("not sent: " .. tostring(why)) end
      self.sent[i] = self.sent[i] + 1
      self.next = i % self.config.workers + 1
    end
  end
  function Sender:on_stop(_, env)
    self.timer:cancel()
    env:reply("Sent", { sent = self.sent })
  end
  return Sender
]]

-- Makes all the others, reloads, and adds it all up.
local MAIN = [[
  local Main = {}
  local WORKER = %q

  local function write(text)
    -- Renamed into its place: as an editor saves.
    local path = Main.folder .. "/worker.lua"
    local file <close> = assert(io.open(path .. ".new", "w"))
    assert(file:write(text))
    file:close()
    assert(os.rename(path .. ".new", path))
  end

  -- The good ones count up; each bad one is bad in a way of its own.
  local BAD = {
    function(version) return "local Worker = {" end,
    function(version) return WORKER:format(version, "error('in all')") end,
    function(version) return WORKER:format(version, "if actor.name == 'worker7' then error('in one') end") end,
    function(version) return "error('at the top') " .. WORKER:format(version, "") end,
    function(version) return WORKER:format(version, "") .. "\nrequire 'no.such.thing'" end,
    function(version) return "" end,
  }

  function Main:on_start()
    Main.folder = actor.args[1]
    self.workers, self.reloads = math.tointeger(actor.args[2]), math.tointeger(actor.args[3])
    self.burst, self.senders = math.tointeger(actor.args[4]), math.tointeger(actor.args[5])
    write(WORKER:format(1, ""))
    for i = 1, self.workers do
      assert(actor.spawn(Main.folder .. "/worker.lua", { name = "worker" .. i, thread = i == 3 and "own" or nil }))
    end
    for i = 1, self.senders do
      assert(actor.spawn(Main.folder .. "/sender.lua",
        { name = "sender" .. i, config = { workers = self.workers, burst = self.burst } }))
    end
    actor.self:send("Go")
  end

  function Main:on_go()
    local begun, version, good, bad, held = actor.now(), 1, 0, 0, {}
    local wrong = {}
    for i = 1, self.reloads do
      local is_bad = i %% 3 == 0
      write(is_bad and BAD[i // 3 %% #BAD + 1](version + 1) or WORKER:format(version + 1, ""))
      actor.sleep("15ms") -- so that much is handled by each version
      local done, report = actor.reload { script = Main.folder .. "/worker.lua" }
      if (done ~= nil) == is_bad then
        table.insert(wrong, ("reload %%d: %%s"):format(i, done and "was done" or tostring(report)))
      end
      if done then
        version, good = version + 1, good + 1
        table.insert(held, report.held_ms)
      else
        bad = bad + 1
      end
    end
    local seconds = actor.now() - begun

    local sent, total = {}, 0
    for i = 1, self.senders do
      local name = "sender" .. i
      sent[name] = assert(actor.ref(name):ask("Stop", nil, { timeout = "60s" })).sent
    end
    local handled, versions = 0, {}
    for i = 1, self.workers do
      -- Asked after all was sent, and by another: until all of it has come.
      local report
      repeat
        report = assert(actor.ref("worker" .. i):ask("Report", nil, { timeout = "60s" }))
        local all = true
        for name, counts in pairs(sent) do all = all and (report.last[name] or 0) >= counts[i] end
        if not all then actor.sleep("5ms") end
      until all
      for name, counts in pairs(sent) do
        total = total + counts[i]
        if (report.last[name] or 0) ~= counts[i] then table.insert(wrong, "worker" .. i .. " of " .. name) end
      end
      if report.wrong > 0 then table.insert(wrong, ("worker%%d: %%d out of order"):format(i, report.wrong)) end
      if report.reloads ~= good then
        table.insert(wrong, ("worker%%d: %%d of %%d reloads"):format(i, report.reloads, good))
      end
      for each, n in pairs(report.by) do
        handled = handled + n
        versions[each] = true
      end
    end
    table.sort(held)
    local seen = 0
    for _ in pairs(versions) do seen = seen + 1 end
    print(json.encode {
      sent = total, handled = handled, good = good, bad = bad, versions = seen, wrong = wrong,
      rate = total / seconds, held_p50 = held[#held // 2 + 1], held_p99 = held[math.ceil(#held * 0.99)],
      held_max = held[#held],
    })
    actor.stop_host(0)
  end
  return Main
]]

describe("reloads under load", function()
  local folder
  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  it("lose nothing, double nothing and change no order", function()
    process.write_file(folder .. "/sender.lua", SENDER)
    process.write_file(folder .. "/main.lua", MAIN:format(WORKER))
    local child = process.start(process.troupe {
      "run", folder .. "/main.lua", "--workers", "3", "--",
      folder, tostring(WORKERS), tostring(RELOADS), tostring(BURST), tostring(SENDERS),
    }, 200)
    local ended = child:wait()
    assert.equal(0, ended.code, ended.err)
    local result = json.decode(ended.out)
    assert.same({}, setmetatable(result.wrong, nil), ended.err)
    assert.equal(result.sent, result.handled)
    assert.equal(RELOADS // 3, result.bad)
    assert.equal(RELOADS - RELOADS // 3, result.good)
    assert.is_true(result.versions > 1)
    assert.is_true(result.held_p99 >= result.held_p50)
  end)
end)
