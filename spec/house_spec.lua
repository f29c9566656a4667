-- Keeps the map of host/ true: includes go down the house, never up; each
-- language is spoken on its own floor; files are short and say what they are.

-- script/, net/ and io/ are neighbours that never meet: the same floor, other rooms.
local FLOOR = { base = 0, message = 1, actor = 2, script = 3, net = 3, io = 3, control = 4, roof = 5 }

local LINES_LIMIT = 520

local function room_of(path)
  return path:match("^host/([%w_]+)/") or "roof"
end

local function is_test(path)
  return path:match("/test_[^/]*%.c$") ~= nil
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function files()
  local found = {}
  local list <close> = assert(io.popen("find host -name '*.[ch]' | sort"))
  for path in list:lines() do
    table.insert(found, path)
  end
  assert(#found > 0, "no host/ here: run the specs in the project's folder")
  return found
end

-- All includes of our own headers: a header without a folder is the roof's.
local function includes()
  local found = {}
  for _, path in ipairs(files()) do
    for target in read(path):gmatch('#%s*include%s*"([^"]+)"') do
      table.insert(found, {
        path = path,
        from = room_of(path),
        target = target,
        to = target:match("^([^/]+)/") or "roof",
      })
    end
  end
  return found
end

-- The files outside `allowed` that include one of the system headers.
local function strangers(headers, allowed)
  local found = {}
  for _, path in ipairs(files()) do
    for header in read(path):gmatch("#%s*include%s*[<\"]([^>\"]+)[>\"]") do
      if headers[header] and not allowed(path) then
        table.insert(found, path .. " includes " .. header)
      end
    end
  end
  return found
end

describe("the house", function()
  it("has only rooms that are on the map", function()
    for _, path in ipairs(files()) do
      assert.is_not_nil(FLOOR[room_of(path)], path .. " is in no room of the house")
    end
  end)

  it("has no stairs going up", function()
    local up = {}
    for _, step in ipairs(includes()) do
      local from, to = FLOOR[step.from] or -1, FLOOR[step.to] or math.huge
      if to >= from and step.to ~= step.from then
        table.insert(up, step.path .. " includes " .. step.target)
      end
    end
    assert.same({}, up)
  end)

  it("speaks Lua only in script/, in the stage and in tests", function()
    local headers = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true }
    assert.same({}, strangers(headers, function(path)
      return room_of(path) == "script" or path:find("^host/stage[%w_]*%.[ch]$") ~= nil or is_test(path)
    end))
  end)

  it("speaks ZeroMQ only in net/", function()
    assert.same({}, strangers({ ["zmq.h"] = true, ["zmq_utils.h"] = true }, function(path)
      return room_of(path) == "net"
    end))
  end)

  it("shows the outside one header, which includes none of ours", function()
    assert.is_nil(read("host/host.h"):match('#%s*include%s*"'))
  end)

  it("has no file that is too long to read", function()
    local long = {}
    for _, path in ipairs(files()) do
      local _, lines = read(path):gsub("\n", "")
      if lines > LINES_LIMIT and not is_test(path) then
        table.insert(long, ("%s has %d lines"):format(path, lines))
      end
    end
    assert.same({}, long)
  end)

  it("says on the first line of each file what the file is", function()
    local silent = {}
    for _, path in ipairs(files()) do
      local comment = read(path):match("^/%*(.-)%*/")
      if not (comment and comment:find("%a+%A+%a+")) then
        table.insert(silent, path)
      end
    end
    assert.same({}, silent)
  end)
end)
