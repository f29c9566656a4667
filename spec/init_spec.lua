-- troupe init: a project that runs, tests and reloads at once, in a folder of its own.
local json = require "troupe.json"
local process = require "spec.support.process"
local project = require "troupe.cli.project"

local OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

local FILES = { "shop.lua", "actors/greeter.lua", "actors/visitor.lua", "spec/greeter_spec.lua", ".luarc.json",
                ".gitignore", "README.md" }

describe("troupe init", function()
  local folder

  local function init(dir)
    return process.run(process.troupe_in(folder, { "init", dir }))
  end

  local function in_project(arguments)
    return process.run(process.troupe_in(folder .. "/shop", arguments))
  end

  local function names_in(path)
    local pipe <close> = assert(io.popen(("cd '%s' && find . -type f | LC_ALL=C sort"):format(path)))
    return pipe:read("a")
  end

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  describe("makes a project", function()
    it("and says which files, and what to type next", function()
      local ended = init "shop"
      assert.same({ OK, "" }, { ended.code, ended.err })
      for _, path in ipairs(FILES) do
        assert.matches("shop/" .. path .. " ", ended.out, 1, true)
        assert.is_true(#process.read_file(folder .. "/shop/" .. path) > 0)
      end
      for _, command in ipairs { "cd shop", "troupe test", "troupe up shop.lua -w",
                                 "troupe ask greeter Greet name=Ann", "troupe new actor NAME" } do
        assert.matches("\n  " .. command, ended.out, 1, true)
      end
    end)

    it("whose specs pass", function()
      init "shop"
      local ended = in_project { "test" }
      assert.same({ OK, "" }, { ended.code, ended.err })
      assert.matches("2 successes / 0 failures / 0 errors / 0 pending", ended.out, 1, true)
    end)

    it("whose actors run, answer, and take over what is saved", function()
      init "shop"
      local host = process.start(process.troupe_in(folder .. "/shop",
                                           { "run", "-w", "actors/greeter.lua", "actors/visitor.lua" }))
      assert.equal("Hello, world! (greeting 1)", host:line())
      local path = folder .. "/shop/actors/greeter.lua"
      process.write_file(path, (process.read_file(path):gsub('"Hello"', '"Good day"')))
      host:error_line("reload: actors/greeter.lua: #1 -> #2")
      local ended = in_project { "ask", "greeter", "Greet", "name=Ann" }
      assert.equal(OK, ended.code)
      assert.matches('^Greeting {"count": %d+, "text": "Good day, Ann!"}\n$', ended.out)
      assert.equal(INTERRUPTED, host:stop("INT").code)
    end)

    it("whose topology has nothing wrong with it", function()
      init "shop"
      assert.same({ code = OK, out = "shop.lua: ok: 1 node, 2 actors, 1 link\n", err = "" },
                  in_project { "check", "shop.lua" })
    end)

    it("whose topology goes up, takes over what is saved, and comes down", function()
      init "shop"
      local up = process.start(process.troupe_in(folder .. "/shop", { "up", "shop.lua", "-w" }))
      up:line("Hello, world! (greeting 1)")
      local path = folder .. "/shop/actors/greeter.lua"
      process.write_file(path, (process.read_file(path):gsub('"Hello"', '"Good day"')))
      up:line("Good day, world!")
      assert.matches("Good day, Ann!", in_project({ "ask", "greeter", "Greet", "name=Ann" }).out, 1, true)
      path = folder .. "/shop/shop.lua"
      process.write_file(path, (process.read_file(path):gsub('every = "2s"', 'every = "1s", name = "Zoe"')))
      up:line("Good day, Zoe!")
      assert.equal(OK, in_project({ "down", "shop.lua" }).code)
      assert.equal(OK, up:wait().code)
    end)

    it("whose topology goes up in one process", function()
      init "shop"
      local up = process.start(process.troupe_in(folder .. "/shop", { "up", "shop.lua", "--one" }))
      up:line("Hello, world! (greeting 1)")
      assert.equal(OK, up:stop("TERM").code)
    end)

    it("whose editor settings name the API of this installation", function()
      init "shop"
      local settings = assert(json.decode(process.read_file(folder .. "/shop/.luarc.json")))
      assert.equal("Lua 5.4", settings["runtime.version"])
      local library = settings["workspace.library"]
      assert.equal(1, #library)
      assert.matches("^%-%-%-@meta", process.read_file(library[1]))
      assert.matches("^/", library[1])
    end)

    it("in a folder that is there, if it has none of the files", function()
      assert(os.execute(("mkdir '%s/shop'"):format(folder)))
      process.write_file(folder .. "/shop/notes.txt", "mine")
      local ended = process.run(process.troupe_in(folder .. "/shop", { "init", "." }))
      assert.equal(OK, ended.code)
      assert.matches("^shop%.lua ", ended.out)
      assert.not_matches("cd ", ended.out, 1, true)
      assert.equal("mine", process.read_file(folder .. "/shop/notes.txt"))
      assert.equal(OK, in_project({ "test" }).code)
    end)

    it("with the folders above it", function()
      local ended = init "a/b/shop/"
      assert.equal(OK, ended.code)
      assert.matches("\n  cd a/b/shop\n", ended.out, 1, true)
      assert.matches('topology "shop"', process.read_file(folder .. "/a/b/shop/shop.lua"), 1, true)
    end)
  end)

  describe("finds a name", function()
    it("in the folder's, and topology.lua where that is an odd one", function()
      assert.same({ "shop", "shop.lua" }, { project.names "shop" })
      assert.same({ "my-shop_2", "my-shop_2.lua" }, { project.names "my-shop_2" })
      assert.same({ "my_shop", "topology.lua" }, { project.names "my shop" })
      assert.same({ "x", "topology.lua" }, { project.names "-x" })
      assert.same({ "project", "topology.lua" }, { project.names "ö" })
      assert.same({ "project", "topology.lua" }, { project.names "" })
    end)

    it("and quotes the folder where the shell needs it", function()
      local ended = init "Bob's shop"
      assert.equal(OK, ended.code)
      assert.matches([[  cd 'Bob'\''s shop']], ended.out, 1, true)
      assert.matches('topology "Bob_s_shop"', process.read_file(folder .. "/Bob's shop/topology.lua"), 1, true)
    end)
  end)

  describe("refuses", function()
    it("a folder that has one of its files, says which, and writes none", function()
      assert(os.execute(("mkdir -p '%s/shop/actors'"):format(folder)))
      process.write_file(folder .. "/shop/actors/greeter.lua", "mine")
      process.write_file(folder .. "/shop/README.md", "mine too")
      assert.same({ code = FAILED, out = "",
                    err = "troupe: shop has actors/greeter.lua, README.md already: nothing was written\n" }, init "shop")
      assert.equal("./README.md\n./actors/greeter.lua\n", names_in(folder .. "/shop"))
      assert.equal("mine", process.read_file(folder .. "/shop/actors/greeter.lua"))
    end)

    it("a link that leads nowhere in the place of a file, rather than write elsewhere", function()
      assert(os.execute(("mkdir '%s/shop' && ln -s ../elsewhere '%s/shop/README.md'"):format(folder, folder)))
      local ended = init "shop"
      assert.same({ FAILED, "" }, { ended.code, ended.out })
      assert.equal("", names_in(folder .. "/shop"))
      assert.is_nil(io.open(folder .. "/elsewhere"))
    end)

    it("a file in the place of a folder, and leaves nothing behind", function()
      process.write_file(folder .. "/shop", "mine")
      assert.same({ code = FAILED, out = "", err = "troupe: cannot make shop: Not a directory\n" }, init "shop")
      assert(os.execute(("mkdir '%s/yard' && touch '%s/yard/spec'"):format(folder, folder)))
      assert.same({ code = FAILED, out = "", err = "troupe: cannot make yard/spec: Not a directory\n" }, init "yard")
      assert.equal("./spec\n", names_in(folder .. "/yard"))
    end)

    it("a folder without a name", function()
      assert.same({ code = USAGE, out = "",
                    err = "troupe: the name of a folder is expected, not an empty text; . is this one\n" }, init "")
    end)

    it("to guess the folder", function()
      local ended = process.run(process.troupe { "init" })
      assert.equal(USAGE, ended.code)
      assert.matches("missing argument 'dir'", ended.err, 1, true)
    end)
  end)
end)
