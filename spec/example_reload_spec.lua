-- examples/reload/session.md is what a person types in two terminals, and what they see:
-- played here with the real program, line by line.
local process = require "spec.support.process"
local program = require "spec.support.program"
local session = require "spec.support.session"

local EXAMPLE = "examples/reload"

describe("examples/reload", function()
  local folder

  before_each(function()
    folder = process.make_folder()
    assert(os.execute(("cp %s/* %s && mkdir %s/bin && ln -s %s %s/bin/troupe"):format(
      EXAMPLE, folder, folder, program.path, folder)))
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function in_folder(command)
    return { "sh", "-c", 'cd "$1" && PATH="$PWD/bin:$PATH" && ' .. command, "sh", folder }
  end

  it("goes as its session says", function()
    local host                  -- runs in the first terminal
    local left, typed = "", nil -- what the last command of the second has printed, and is not looked at yet
    local function nothing_left()
      assert.equal("", left, ("after '%s' one sees more"):format(typed))
    end

    -- Who types is slower than a host that starts.
    local function await_actor()
      for _ = 1, 500 do
        if process.run(in_folder "troupe ps").out:find("\ncounter ") then return end
      end
      error "there is no counter"
    end

    local type_in = {}
    type_in["1"] = function(command)
      if command == "^C" then
        local ended = host:stop("INT")
        assert.same({ code = 130, out = "", err = "" }, ended)
        host = nil
      elseif command:find("^troupe run ") then
        host = process.start(in_folder("exec " .. command .. " 2>&1"), 300)
        await_actor()
      else
        assert.same({ code = 0, out = "", err = "" }, process.run(in_folder(command)))
      end
    end
    type_in["2"] = function(command)
      left = process.run(in_folder("{ " .. command .. "; } 2>&1")).out
    end

    local see = {}
    see["1"] = function(expected) session.assert_seen(expected, host:line(), typed) end
    see["2"] = function(expected)
      local line, rest = left:match("^(.-)\n(.*)$")
      session.assert_seen(expected, line or "(nothing)", typed)
      left = rest
    end

    local played = 0
    for _, step in ipairs(session.read(EXAMPLE .. "/session.md")) do
      if step.typed then
        nothing_left()
        typed = step.typed
        type_in[step.terminal](typed)
      else
        see[step.terminal](step.seen)
      end
      played = played + 1
    end
    nothing_left()
    assert.is_nil(host, "the last host was not ended")
    assert(played > 80)
  end)
end)
