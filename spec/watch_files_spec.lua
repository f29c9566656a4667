-- `troupe run -w`: what is saved is reloaded, however it is saved, and nothing is lost
-- meanwhile. Real processes, files and signals: the stage has no threads that watch.
local process = require "spec.support.process"
local program = require "spec.support.program"

local folder -- of this spec's files

local function at(name) return folder .. "/" .. name end

local function shell(command)
  assert(os.execute(("cd %s && { %s; }"):format(folder, command)), command)
end

local function write(name, text) return process.write_file(at(name), text) end

--- As most editors save: nobody ever sees half of it.
local function save(name, text)
  write(name .. ".tmp", text)
  assert(os.rename(at(name .. ".tmp"), at(name)))
end

-- Counts its pings, and says which text it is.
local function pong(version)
  return ([[
local Pong = {}
function Pong:on_start() self.count = 0 end
function Pong:on_ping(msg, env)
  self.count = self.count + 1
  env:reply("Pong", { version = %d, count = self.count })
end
return Pong
]]):format(version)
end

-- Pings without end, and says when another text answers. A ping is lost if it is not
-- answered, or if the count of those handled is not the count of those sent.
local PINGER = [[
local Pinger = {}

function Pinger:on_start()
  self.sent, self.lost = 0, 0
  actor.every("2ms", "Go")
end

function Pinger:on_go()
  for _ = 1, 10 do
    self.sent = self.sent + 1
    local got = actor.ref("pong"):ask("Ping", nil, { timeout = "1m" })
    if not got or got.count ~= self.sent then self.lost = self.lost + 1 end
    if got and got.version ~= self.version then
      self.version = got.version
      print(("version %d: %d sent, %d lost"):format(got.version, self.sent, self.lost))
    end
  end
end

return Pinger
]]

local host

local function start(...)
  host = process.start(process.troupe { "run", "-w", "--workers", "2", ... })
  return host
end

--- The next line of its log, whatever it says.
local function next_line() return host:error_line("") end

--- The next line is that of a reload of `name`: from which number to which.
local function reloaded(name)
  local line = next_line()
  local from, to = line:match("info +reload: " .. at(name):gsub("%p", "%%%0") .. ": #(%d+) %-> #(%d+)[ ,]")
  assert(from, "not the line of a reload: " .. line)
  return math.tointeger(from), math.tointeger(to)
end

--- The next line is that of a reload that was refused for what is in `name`.
local function refused(name)
  local line = next_line()
  assert.matches("error +reload: .*refused.*: " .. at(name):gsub("%p", "%%%0") .. ":", line)
  return line
end

-- Each saves `text` as live/pong.lua, which lies behind a link to a folder.
local function in_place(text) write("live/pong.lua", text) end

local function renamed_over(text) save("live/pong.lua", text) end

local function burst(saves, text)
  for i = 1, saves do write("live/pong.lua", ("%s-- %d\n"):format(text, i)) end
end

-- Between two steps of a save a busy machine may take any time: where that would make two
-- of one, the host is suspended meanwhile.
local WAYS = {
  { "in place", in_place },
  { "in place, and slowly", function(text)
    write("new", text)
    shell "{ head -c 30 new; sleep 0.3; tail -c +31 new; } >live/pong.lua"
  end },
  { "renamed over, as VS Code and sed -i do", renamed_over },
  { "moved over it from elsewhere", function(text)
    write("new", text)
    assert(os.rename(at "new", at "live/pong.lua"))
  end },
  { "as vim with backupcopy=no", function(text)
    write("live/4913", "") os.remove(at "live/4913")
    assert(os.rename(at "live/pong.lua", at "live/pong.lua~"))
    write("live/pong.lua", text)
    os.remove(at "live/pong.lua~")
  end, suspended = true },
  { "as vim with backupcopy=yes", function(text)
    write("live/.pong.lua.swp", "swap")
    write("live/pong.lua~", "old")
    write("live/pong.lua", text)
    os.remove(at "live/pong.lua~") os.remove(at "live/.pong.lua.swp")
  end },
  { "deleted and created", function(text)
    os.remove(at "live/pong.lua")
    write("live/pong.lua", text)
  end, suspended = true },
  { "a hard link over it", function(text)
    write("new", text)
    shell "ln new link && mv link live/pong.lua && rm new"
  end },
  { "a link to another file over it", function(text)
    write("live/store.lua", text)
    shell "ln -s store.lua link && mv -T link live/pong.lua"
  end },
  { "in place, through that link", function(text) write("live/store.lua", text) end },
  { "a link to another folder in the place of its folder", function(text)
    shell "mkdir next"
    write("next/pong.lua", text)
    shell "ln -s next link && mv -T link live"
  end },
  { "five times in a row", function(text) burst(5, text) end, suspended = true },
  { "a hundred times in a row", function(text) burst(100, text) end, suspended = true },
  { "and its folder made anew", function(text)
    shell "mkdir new"
    write("new/pong.lua", text)
    shell "mv next old && mv new next"
  end, suspended = true },
}

describe("watching files", function()
  before_each(function()
    folder = process.make_folder()
    shell "mkdir first && ln -s first live"
    write("live/pong.lua", pong(1))
    write("pinger.lua", PINGER)
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  it("reloads once for each way of saving, and no ping is lost", function()
    start(at "live/pong.lua", at "pinger.lua")
    host:line("version 1: ")
    local sent
    for i, way in ipairs(WAYS) do
      if way.suspended then host:hold() end
      way[2](pong(i + 1))
      if way.suspended then host:go_on() end
      local line = host:line(("version %d: "):format(i + 1))
      assert.matches("sent, 0 lost$", line, way[1])
      sent = tonumber(line:match("(%d+) sent"))
      assert.same({ i, i + 1 }, { reloaded("live/pong.lua") }, way[1])
    end
    assert(sent > 1000, sent)
    assert.equal(0, host:stop("TERM").code)
  end)

  it("prints nothing, and disturbs nobody, when what is saved is the same", function()
    start(at "live/pong.lua", at "pinger.lua")
    host:line("version 1: ")
    shell "touch live/pong.lua"
    save("live/pong.lua", pong(1))
    write("live/pong.lua", pong(1))
    shell "chmod 755 live/pong.lua"
    save("live/other.lua", pong(2))
    save("live/pong.lua", pong(2))
    assert.matches("sent, 0 lost$", host:line("version 2: "))
    assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
  end)

  describe("keeps the old version, with one line that says why,", function()
    local BYTECODE = string.dump(function() end)
    local CASES = {
      { "a syntax error", "return {\n  a = = 1 }", ":2: unexpected symbol near '='" },
      { "an error at the load", "local x = nil\nx.y = 1", ":2: attempt to index" },
      { "an empty file", "", "returns no table of on_<type> functions and defines none" },
      { "one that defines no actor", "return 42", "returns no table" },
      { "bytecode", BYTECODE, "compiled Lua" },
      { "what is no text at all", ("\0\1\2\3"):rep(100), "" },
      { "a module that is not there", "require 'nowhere'", ":1: module 'nowhere' not found" },
    }

    it("of whatever is wrong with the new one", function()
      start(at "live/pong.lua", at "pinger.lua")
      host:line("version 1: ")
      for i, case in ipairs(CASES) do
        save("live/pong.lua", case[2])
        local line = refused("live/pong.lua")
        assert.is_truthy(line:find(case[3], 1, true), case[1] .. ": " .. line)
        save("live/pong.lua", pong(i + 1))
        assert.same({ i, i + 1 }, { reloaded("live/pong.lua") }, case[1])
        assert.matches("sent, 0 lost$", host:line(("version %d: "):format(i + 1)), case[1])
      end
    end)

    it("and what is mended by taking it back is not reloaded, but said", function()
      start(at "live/pong.lua", at "pinger.lua")
      host:line("version 1: ")
      save("live/pong.lua", "return {")
      refused("live/pong.lua")
      save("live/pong.lua", "return {") -- once more, for who saves again
      refused("live/pong.lua")
      save("live/pong.lua", pong(1))
      assert.matches("info +reload: nothing has changed", next_line())
      save("live/pong.lua", pong(2))
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
    end)

    it("of a writer who is half way, and takes the rest when that comes", function()
      start(at "live/pong.lua", at "pinger.lua")
      host:line("version 1: ")
      local text = pong(2)
      write("live/pong.lua", text:sub(1, 60))
      refused("live/pong.lua")
      write("live/pong.lua", text)
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 2: "))
    end)

    it("of a file that is deleted, until it is back", function()
      start(at "live/pong.lua", at "pinger.lua")
      host:line("version 1: ")
      os.remove(at "live/pong.lua")
      assert.matches("warn +watch: " .. at("live/pong.lua"):gsub("%p", "%%%0")
        .. ": deleted; the old code goes on, watching for its return$", next_line())
      save("live/pong.lua", pong(1))
      assert.matches("info +watch: .*pong.lua: is back as it was$", next_line())
      os.remove(at "live/pong.lua")
      assert.matches("pong.lua: deleted", next_line())
      save("live/pong.lua", pong(2))
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 2: "))
    end)
  end)

  describe("looks after", function()
    local REQUIRING = [[
      local words = require "words"
      local Pong = {}
      function Pong:on_start() self.count = 0 end
      function Pong:on_ping(msg, env)
        self.count = self.count + 1
        env:reply("Pong", { version = words.version, count = self.count })
      end
      return Pong
    ]]

    it("a module that a script requires", function()
      write("live/pong.lua", REQUIRING)
      write("live/words.lua", "return { version = 1 }")
      start(at "live/pong.lua", at "pinger.lua")
      host:line("version 1: ")
      save("live/words.lua", "return { version = 2 }")
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 2: "))
      save("live/words.lua", "return { version = }")
      refused("live/words.lua")
      save("live/words.lua", "return { version = 3 }")
      assert.same({ 2, 3 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 3: "))
    end)

    it("a script and its module that are saved together: one reload", function()
      write("live/pong.lua", REQUIRING)
      write("live/words.lua", "return { version = 1 }")
      start(at "live/pong.lua", at "pinger.lua")
      host:line("version 1: ")
      host:hold() -- so that nothing comes between the saves
      save("live/pong.lua", (REQUIRING:gsub("words", "terms")))
      save("live/terms.lua", "return { version = 2 }")
      save("live/words.lua", "return { version = -1 }")
      host:go_on()
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 2: "))
      save("live/terms.lua", "return { version = 3 }") -- one that came with a reload
      assert.same({ 2, 3 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 3: "))
    end)

    it("a script that is spawned later", function()
      write("first.lua", ('function on_start() actor.spawn(%q, { name = "pong" }) end'):format(at "live/pong.lua"))
      start(at "first.lua", at "pinger.lua")
      host:line("version 1: ")
      save("live/pong.lua", pong(2))
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 2: "))
    end)

    it("no actor that is shipped with the program", function()
      shell(("mkdir bin share && cp %s bin/troupe && mkdir share/troupe"):format(program.path))
      assert(os.execute(("cp -r lua actors %s/share/troupe"):format(folder)))
      write("main.lua", [[
        local Main = { version = 1 }
        function Main:on_start()
          actor.spawn("event_bus", { name = "bus" })
          print("ready")
        end
        return Main
      ]])
      host = process.start { at "bin/troupe", "run", "-w", at "main.lua" }
      host:line("ready")
      shell "echo '-- another' >>share/troupe/actors/event_bus.lua"
      save("main.lua", "return { version = 2 }")
      assert.same({ 1, 2 }, { reloaded("main.lua") })
      host:signal("HUP") -- whoever asks for it gets it
      assert.matches("info +reload: .*event_bus.lua: #1 %-> #2, 1 actor", next_line())
    end)
  end)

  describe("goes on", function()
    it("after more events than the kernel keeps: it looks at all files", function()
      local limits <close> = assert(io.open("/proc/sys/fs/inotify/max_queued_events"))
      local events = limits:read("n")
      if events > 100000 then pending("the queue takes " .. events .. " events") return end
      write("second.lua", "return { version = 1 }")
      start(at "live/pong.lua", at "pinger.lua", at "second.lua")
      host:line("version 1: ")
      host:hold()
      for i = 1, events + 100 do -- in turn, for equal ones in a row would be one
        io.open(at("live/noise" .. i % 2), "a"):close()
      end
      save("live/pong.lua", pong(2))
      host:go_on()
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 2: "))
      save("second.lua", "return { version = 2 }")
      assert.same({ 1, 2 }, { reloaded("second.lua") })
    end)

    -- In a user namespace of its own, where the limits are ours to set.
    local function start_limited(what)
      if process.run({ "unshare", "-Ur", "true" }).code ~= 0 then
        pending("no user namespaces here")
        return false
      end
      host = process.start { "unshare", "-Ur", "sh", "-c",
        ('echo 0 >/proc/sys/user/%s && exec "$0" "$@"'):format(what),
        program.path, "run", "-w", "--workers", "2", at "live/pong.lua", at "pinger.lua" }
      host:line("version 1: ")
      return true
    end

    it("without inotify, and without a watch left: by reading the files every second", function()
      for limit, notice in pairs {
        max_inotify_instances = "watch: there is no inotify (too many instances: sysctl fs.inotify.max_user_instances), "
          .. "so files are read every second",
        max_inotify_watches = "cannot be watched (no inotify watches are left: sysctl fs.inotify.max_user_watches), "
          .. "so it is read every second",
      } do
        save("live/pong.lua", pong(1))
        if not start_limited(limit) then return end
        assert.is_truthy(next_line():find(notice, 1, true))
        save("live/pong.lua", pong(2))
        assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
        assert.matches("sent, 0 lost$", host:line("version 2: "))
        save("live/pong.lua", "return {")
        refused("live/pong.lua")
        os.remove(at "live/pong.lua")
        assert.matches("pong.lua: deleted", next_line())
        save("live/pong.lua", pong(3))
        assert.same({ 2, 3 }, { reloaded("live/pong.lua") })
        process.end_all()
      end
    end)
  end)

  describe("on trial", function()
    it("goes back to the version before at the first error of a handler", function()
      start("--trial", "1h", at "live/pong.lua", at "pinger.lua")
      host:line("version 1: ")
      save("live/pong.lua", pong(2):gsub("env:reply", "env:no_such_thing"))
      host:error_line("on trial for 3600 s")
      host:error_line("the trial has failed")
      save("live/pong.lua", pong(3))
      host:error_line("on trial for 3600 s")
      host:line("version 3: ")
    end)
  end)

  describe("is not waited for:", function()
    it("SIGHUP reloads what has changed, with and without -w", function()
      host = process.start(process.troupe { "run", "--workers", "2", at "live/pong.lua", at "pinger.lua" })
      host:line("version 1: ")
      host:signal("HUP")
      assert.matches("info +reload: nothing has changed %(SIGHUP%)$", next_line())
      save("live/pong.lua", pong(2))
      host:signal("HUP")
      assert.same({ 1, 2 }, { reloaded("live/pong.lua") })
      assert.matches("sent, 0 lost$", host:line("version 2: "))
    end)

    it("Enter on the terminal reloads at once, in the foreground, unless a script reads there", function()
      write("reader.lua", [[
        function on_start() assert(actor.stream(actor.lines("-"))) print("reading") end
        function on_line(self, msg) print("read '" .. msg.text .. "'") actor.stop_host(0) end
      ]])
      write("idle.lua", "function on_start() print('idle') end")
      local ended = process.run { "/usr/bin/python3", "-B", "spec/interop/enter.py", program.path, at "idle.lua",
        at "reader.lua" }
      assert.same({ code = 0, err = "", out = "Enter reloads\nother lines do not\nnot in the background\n"
        .. "a script that reads has its lines\n" }, ended)
    end)
  end)

  describe("refuses", function()
    local function assert_usage(why, ...)
      local ended = process.run(process.troupe { ... })
      assert.equal(2, ended.code)
      assert.is_truthy(ended.err:find(why, 1, true), ended.err)
    end

    it("a text that is in no file", function()
      local why = "-w watches the files of scripts, and the text of -e has none"
      assert_usage(why, "-e", "return {}", "-w")
      assert_usage(why, "--watch", "-e", "return {}")
    end)

    it("a trial of no reload, and one without an end", function()
      assert_usage("--trial is of reloads by --watch", "run", "--trial", "30s", at "live/pong.lua")
      assert_usage("'25h' is too long for a trial", "run", "-w", "--trial", "25h", at "live/pong.lua")
      assert_usage("'soon' is no duration", "run", "-w", "--trial", "soon", at "live/pong.lua")
    end)
  end)
end)
