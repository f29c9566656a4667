-- troupe graph: a topology as Mermaid, DOT, JSON and SVG. What it adds with --live is in
-- graph_live_spec.lua.
local Market = require "spec.support.market"
local drawing = require "troupe.topology.graph_drawing"
local flowchart = require "spec.support.flowchart"
local graph = require "troupe.topology.graph"
local json = require "troupe.json"
local process = require "spec.support.process"

local OK, FAILED, USAGE, CHECK = 0, 1, 2, 6

local MARKET = Market.TEXT

local MARKET_MERMAID = [==[
flowchart LR
    subgraph n1["feed<br/>tcp://127.0.0.1:5001"]
        a1["feed<br/>actors/feed.lua"]
        a2["book<br/>actors/book.lua"]
    end
    subgraph n2["risk<br/>tcp://127.0.0.1:5002"]
        a3[["limits<br/>actors/limits.lua<br/>x4, hash:symbol"]]
    end
    e1{{"pricer<br/>python<br/>tcp://localhost:5010"}}
    a1 -->|"Tick"| a2
    a3 -->|"PriceReq → Price"| e1
]==]

local MARKET_DOT = [[
digraph "market" {
  charset="UTF-8"; rankdir=LR; fontname="sans-serif";
  node [shape=box, style=filled, fillcolor=white, fontname="sans-serif"];
  edge [fontname="sans-serif", fontsize=11];
  subgraph cluster_1 {
    label="feed\ntcp://127.0.0.1:5001";
    style=rounded;
    t1 [label="feed\nactors/feed.lua"];
    t2 [label="book\nactors/book.lua"];
  }
  subgraph cluster_2 {
    label="risk\ntcp://127.0.0.1:5002";
    style=rounded;
    t3 [label="limits\nactors/limits.lua\nx4, hash:symbol", peripheries=2];
  }
  t4 [label="pricer\npython\ntcp://localhost:5010", shape=hexagon];
  t1 -> t2 [label="Tick"];
  t3 -> t4 [label="PriceReq → Price"];
}
]]

local MARKET_JSON = '{"v": 1, "topology": "market", "file": "market.lua", "live": null, "nodes": ['
  .. '{"name": "feed", "endpoints": ["tcp://127.0.0.1:5001"], "after": [], "running": null, "host": null, "pid": null}, '
  .. '{"name": "risk", "endpoints": ["tcp://127.0.0.1:5002"], "after": ["feed"], "running": null, "host": null, "pid": null}], '
  .. '"actors": [{"id": "feed", "name": "feed", "node": "feed", "declared": true, "script": "actors/feed.lua", '
  .. '"source": null, "instances": null, "route": null, "running": null, "instances_running": null, "queue": null, '
  .. '"rate": null, "errors": null}, {"id": "book", "name": "book", "node": "feed", "declared": true, '
  .. '"script": "actors/book.lua", "source": null, "instances": null, "route": null, "running": null, '
  .. '"instances_running": null, "queue": null, "rate": null, "errors": null}, {"id": "limits", "name": "limits", '
  .. '"node": "risk", "declared": true, "script": "actors/limits.lua", "source": null, "instances": 4, '
  .. '"route": "hash:symbol", "running": null, "instances_running": null, "queue": null, "rate": null, "errors": null}], '
  .. '"externals": [{"id": "pricer", "name": "pricer", "endpoint": "tcp://localhost:5010", "from": "python", '
  .. '"actor": "pricer"}], "others": [], "edges": [{"from": "feed", "to": "book", "kind": "link", '
  .. '"types": [{"name": "Tick", "rate": null, "lost": null}], "answers": [], "fields": [], "line": 8}, '
  .. '{"from": "limits", "to": "pricer", "kind": "link", "types": [{"name": "PriceReq", "rate": null, "lost": null}], '
  .. '"answers": [{"name": "Price", "rate": null, "lost": null}], "fields": [], "line": 9}]}\n'

describe("the drawing of a topology", function()
  it("is a flowchart of Mermaid: nodes as boxes, links with their types and answers", function()
    assert.equal(MARKET_MERMAID, graph.mermaid(Market.read(MARKET)))
  end)

  it("is a digraph of Graphviz", function()
    assert.equal(MARKET_DOT, graph.dot(Market.read(MARKET)))
  end)

  it("is a JSON object whose keys are always there", function()
    assert.equal(MARKET_JSON, graph.json(Market.read(MARKET)))
  end)

  it("has a thin line for a ref in a config where there is no link, with the place in the config", function()
    local model = Market.read [[
      return topology "t" {
        node "n" { bind = ":5001",
          actor "a" { "a.lua", config = { to = ref "b", others = { ref "b", ref "x", ref "z@tcp://10.0.0.9:77" } } },
          actor "b" { "b.lua", config = { back = ref "a@n" } } },
        external "x" { ":5010", from = "rust", actor = "boss" },
        link { "b", "a", "Tick" },
      }]]
    local chart = flowchart.read(graph.mermaid(model))
    assert.same({
      { from = "a2", arrow = "-->", to = "a1", lines = { "Tick" } },
      { from = "a1", arrow = "--o", to = "a2", lines = { "others[1], to" } },
      { from = "a1", arrow = "--o", to = "e1", lines = { "others[2]" } },
      { from = "a1", arrow = "--o", to = "u1", lines = { "others[3]" } },
    }, chart.edges)
    assert.same({ 1, 2, 3 }, chart.thin)
    assert.same({ "z", "tcp://10.0.0.9:77" }, chart.ids.u1.lines)
    local drawn = json.decode(graph.json(model))
    assert.same({ "others[1]", "to" }, drawn.edges[2].fields)
    assert.same({ { id = "z@tcp://10.0.0.9:77", name = "z@tcp://10.0.0.9:77", kind = "unknown" } }, drawn.others)
    assert.equal("boss", drawn.externals[1].actor)
    assert.matches("penwidth=0.5, arrowhead=odot", graph.dot(model))
  end)

  it("has the first line of a script that is written in the file", function()
    local model = Market.read [==[
      return topology "t" { node "n" { actor "a" { source = [[

        function on_ping(self, msg, env) env:reply("Pong") end
        function on_pong() end]] } } }]==]
    local chart = flowchart.read(graph.mermaid(model))
    assert.same({ "a", "inline: function on_ping(self, msg, env) env:re…" }, chart.things[1].lines)
    assert.matches("on_pong", json.decode(graph.json(model)).actors[1].source)
  end)

  it("has where others find a node, where that is said", function()
    local model = Market.read [[
      return topology "t" { node "n" { bind = "tcp://10.0.0.1:5001", advertise = "tcp://10.0.0.2:5001", open = true,
                                          actor "a" { "a.lua" } } }]]
    assert.same({ "n", "tcp://10.0.0.2:5001" }, flowchart.read(graph.mermaid(model)).boxes[1].lines)
  end)

  it("breaks a long list of types into lines", function()
    local types = {}
    for i = 1, 9 do types[i] = ('"MessageType%d"'):format(i) end
    local model = Market.read(([[
      return topology "t" { node "n" { actor "a" { "a.lua" }, actor "b" { "b.lua" } },
                            link { "a", "b", %s, answers = { "Yes", "No" } } }]]):format(table.concat(types, ", ")))
    local lines = flowchart.read(graph.mermaid(model)).edges[1].lines
    assert.equal("MessageType1, MessageType2,", lines[1])
    assert.equal("→ No, Yes", lines[#lines])
    for _, line in ipairs(lines) do assert.is_true(utf8.len(line) <= 41, line) end
  end)
end)

-- Whatever somebody may call something, and what Mermaid, Markdown, HTML and Graphviz read in it.
local TRAPS = {
  "end", "subgraph", "default", "click", "o", "x", "graph TD", "a-->b", "--x", "a & b", "&amp;", "&#35;", "#35;", "#quot;", '"',
  '\\"', "\\", "\\n", "\\N \\G", "<b>bold</b>", "<br>", "<script>alert(1)</script>", "%% comment", "%%{init: {}}%%", "`code`",
  '"`markdown`"', "1. first", "1) first", "12.", "- item", "+ item", "* item", "*loud*", "_loud_", "__init__", "snake_case_name", "~~no~~",
  "# title", "===", "---", "> quote", "[link](http://x.org)", "https://x.org/a_b", "www.x.org", "WWW.x.org", "ftp://x", "me@x.org", "$$x^2$$", "fa:fa-bell",
  "fab:fa-x", ";", "a;b", "|", "a|b", "{", "}", "{{x}}", "[[", "]]", "(", ")", "((x))", "(a)", ">", "]", "'", "a'b", "名前", "Ünïcödé", "→", "🎭",
  "a\nb", "a\tb", "a\0b", "\27[31m", "a\xC2\x85b", "\xFF\xFE", "caf\xE9", "a.b-c_d", "!", "?", "a = b", "a: b", "style", "%", "100%", ".", "..", "-", "_",
}

--- A topology of our own making, with names that no file could have.
local function wild_model(seed)
  math.randomseed(seed)
  local function any()
    local parts = {}
    for i = 1, math.random(3) do parts[i] = TRAPS[math.random(#TRAPS)] end
    return table.concat(parts, math.random(2) == 1 and " " or "")
  end
  local model = { name = any(), file = any(), folder = ".", line = 1, nodes = {}, externals = {}, links = {} }
  local names = {}
  local function new_name()
    local name
    repeat name = any() until not names[name] and not name:find("@")
    names[name] = true
    table.insert(names, name)
    return name
  end
  for i = 1, 3 do
    local node = { name = any() .. i, line = i, bind = any(), after = {}, options = {}, actors = {} }
    for j = 1, math.random(0, 3) do
      node.actors[j] = { name = new_name(), node = node.name, line = i, options = {}, config = { [any()] = { ["$ref"] = names[1] } } }
      if math.random(3) == 1 then node.actors[j].source = any() else node.actors[j].script = any() end
      if math.random(3) == 1 then node.actors[j].instances, node.actors[j].route = 3, any() end
    end
    model.nodes[i] = node
  end
  model.externals[1] = { name = new_name(), line = 9, endpoint = any(), from = any() }
  for i = 1, 5 do
    model.links[i] = { line = i, from = names[math.random(#names)], to = names[math.random(#names)],
                       types = { { name = any() }, { name = any() } }, answers = math.random(2) == 1 and { { name = any() } } or {} }
  end
  return model
end

-- As they are shown: without spaces at the ends.
local function trimmed(lines)
  local list = {}
  for i, line in ipairs(lines) do list[i] = line:match("^ *(.-) *$") end
  return list
end

local function each_label(view, body)
  for _, node in ipairs(view.nodes) do
    body(node.lines)
    for _, thing in ipairs(node.things) do body(thing.lines) end
  end
  for _, thing in ipairs(view.externals) do body(thing.lines) end
  for _, thing in ipairs(view.others) do body(thing.lines) end
  for _, edge in ipairs(view.edges) do body(edge.lines) end
end

local ESCAPES = { n = "\n", ["\\"] = "\\", ['"'] = '"' }

--- What Graphviz reads as the label in this line, and what comes behind it.
local function label_of(line)
  local _, at = line:find('label="', 1, true)
  if not at then
    return nil
  end
  local read = {}
  while true do
    at = at + 1
    local char, entity = line:sub(at, at), line:match("^&(%w+);", at)
    if char == '"' then
      return table.concat(read), line:sub(at + 1)
    elseif char == "\\" then
      at = at + 1
      char = assert(ESCAPES[line:sub(at, at)], line)
    elseif char == "&" then
      assert.equal("amp", entity)
      at = at + #"amp;"
    end
    assert(char ~= "", line)
    table.insert(read, char)
  end
end

describe("any text in a drawing", function()
  it("is text for Mermaid, and nothing else", function()
    for seed = 1, 200 do
      local model = wild_model(seed)
      local view, chart = drawing.make(model), flowchart.read(graph.mermaid(model))
      local wanted, got = {}, {}
      each_label(view, function(lines) table.insert(wanted, trimmed(lines)) end)
      local at = 0
      for i, box in ipairs(chart.boxes) do
        table.insert(got, box.lines)
        for _ = 1, #view.nodes[i].things do
          at = at + 1
          assert.equal(box.id, chart.things[at].box)
          table.insert(got, chart.things[at].lines)
        end
      end
      for i = at + 1, #chart.things do table.insert(got, chart.things[i].lines) end
      for _, edge in ipairs(chart.edges) do table.insert(got, edge.lines) end
      assert.same(wanted, got, "seed " .. seed)
    end
  end)

  it("is text for Graphviz: quotes, backslashes and names of characters mean nothing", function()
    for seed = 1, 200 do
      local model = wild_model(seed)
      local wanted, got = {}, {}
      each_label(drawing.make(model), function(lines) table.insert(wanted, table.concat(lines, "\n")) end)
      for line in graph.dot(model):gmatch("[^\n]+") do
        local label, rest = label_of(line)
        assert.is_true(not label or rest == "];" or rest == ";" or rest:find("^, [%w#\"=,. ]+%];$") ~= nil, line)
        if not line:find("^ *empty_%d+ ") then table.insert(got, label) end -- what holds an empty box open
      end
      assert.same(wanted, got, "seed " .. seed)
    end
  end)

  it("is text in JSON", function()
    for seed = 1, 50 do
      local model = wild_model(seed)
      local drawn = assert(json.decode(graph.json(model)))
      assert.equal(drawing.clean(model.name), drawn.topology)
      for i, link in ipairs(model.links) do
        assert.same({ drawing.clean(link.from), drawing.clean(link.types[1].name) },
                    { drawn.edges[i].from, drawn.edges[i].types[1].name })
      end
    end
  end)

  it("is whole UTF-8 without control characters", function()
    assert.equal("a b\u{FFFD}c\u{FFFD}", drawing.clean("a\nb\xFFc\xE2"))
    assert.equal("x y", drawing.clean("x\xC2\x9By"))
  end)
end)

describe("troupe graph", function()
  local folder

  before_each(function()
    folder = process.make_folder()
    process.write_file(folder .. "/market.lua", MARKET)
  end)
  after_each(function() process.remove_folder(folder) end)

  local function path(name) return folder .. "/" .. name end

  local function troupe(...) return process.run(process.troupe { "graph", ... }) end

  --- With these folders as PATH, and no other.
  local function troupe_with_path(search, ...)
    local words = process.troupe { "graph", ... }
    return process.run(table.move(words, 1, #words, 3, { "env", "PATH=" .. search }))
  end

  local function content(name)
    local file <close> = assert(io.open(path(name), "rb"))
    return file:read("a")
  end

  local function files()
    local pipe <close> = assert(io.popen("ls -A " .. folder))
    return pipe:read("a")
  end

  it("prints Mermaid, unless it is told otherwise", function()
    local drawn = troupe(path "market.lua")
    assert.same({ OK, MARKET_MERMAID, "" }, { drawn.code, drawn.out, drawn.err })
    assert.equal(MARKET_DOT, troupe(path "market.lua", "--format", "dot").out)
    assert.equal("market", json.decode(troupe(path "market.lua", "--json").out).topology)
  end)

  it("reads a topology from standard input", function()
    assert.equal(MARKET_MERMAID, process.run(process.troupe { "graph", "-" }, { input = MARKET }).out)
  end)

  it("writes a file in the format of its ending, and nothing beside it", function()
    for ending, beginning in pairs { mmd = "flowchart LR\n", dot = "digraph ", gv = "digraph ", json = '{"v": 1,' } do
      local drawn = troupe(path "market.lua", "-o", path("drawn." .. ending))
      assert.same({ OK, "", "" }, { drawn.code, drawn.out, drawn.err })
      assert.equal(beginning, content("drawn." .. ending):sub(1, #beginning))
    end
    assert.equal(OK, troupe(path "market.lua", "-o", path "drawn.mmd", "--format", "dot").code)
    assert.equal(MARKET_DOT, content "drawn.mmd")
    assert.equal("drawn.dot\ndrawn.gv\ndrawn.json\ndrawn.mmd\nmarket.lua\n", files())
  end)

  it("follows a link to a file, and leaves what is no file as it is", function()
    process.write_file(path "real.mmd", "old")
    assert(os.execute(("ln -s real.mmd %s && mkfifo %s"):format(path "link.mmd", path "pipe.mmd")))
    assert.equal(OK, troupe(path "market.lua", "-o", path "link.mmd").code)
    assert.equal(MARKET_MERMAID, content "real.mmd")
    local reader = process.start { "cat", path "pipe.mmd" }
    assert.equal(OK, troupe(path "market.lua", "-o", path "pipe.mmd").code)
    assert.equal(MARKET_MERMAID, reader:wait().out)
    assert(os.execute(("test -L %s && test -p %s"):format(path "link.mmd", path "pipe.mmd")))
  end)

  it("says where it cannot write, and leaves the old drawing", function()
    local drawn = troupe(path "market.lua", "-o", path "nowhere/drawn.mmd")
    assert.equal(FAILED, drawn.code)
    assert.matches("nowhere/drawn.mmd: it cannot be written: No such file or directory\n", drawn.err, 1, true)
    process.write_file(path "drawn.svg", "old")
    assert.equal(FAILED, troupe_with_path(folder, path "market.lua", "-o", path "drawn.svg").code)
    assert.equal("old", content "drawn.svg")
  end)

  it("needs to know what it is to be", function()
    local drawn = troupe(path "market.lua", "-o", "market.png")
    assert.equal(USAGE, drawn.code)
    assert.equal("troupe: what is market.png to be? give --format, or an ending: .mmd, .dot, .gv, .json, .svg\n", drawn.err)
    assert.equal(USAGE, troupe(path "market.lua", "--format", "png").code)
    assert.equal(USAGE, troupe(path "market.lua", "--json", "--format", "dot").code)
    assert.equal("troupe: --for is for --live\n", troupe(path "market.lua", "--for", "2s").err)
  end)

  it("says all that is wrong with the file, and where", function()
    process.write_file(path "bad.lua", 'return topology "bad" {\n  nod "feed" {},\n  link { "x", "y", "Tick" } }\n')
    local drawn = troupe(path "bad.lua")
    assert.same({ CHECK, "" }, { drawn.code, drawn.out })
    assert.matches("bad.lua:2: .*nod", drawn.err)
    assert.equal(USAGE, troupe(path "missing.lua").code)
  end)

  describe("as SVG", function()
    it("gives the text to dot", function()
      process.write_file(path "dot", '#!/bin/sh\n[ "$*" = -Tsvg ] && echo "<svg>" && cat\n')
      assert(os.execute("chmod +x " .. path "dot"))
      local drawn = troupe_with_path(folder .. ":/bin:/usr/bin", path "market.lua", "--format", "svg")
      assert.same({ OK, "<svg>\n" .. MARKET_DOT, "" }, { drawn.code, drawn.out, drawn.err })
    end)

    it("says which package has it, if there is no dot", function()
      local drawn = troupe_with_path(folder, path "market.lua", "--format", "svg")
      assert.same({ FAILED, "" }, { drawn.code, drawn.out })
      assert.equal("troupe: SVG is drawn by the program dot, which is not on the PATH: install Graphviz (the package"
                   .. " 'graphviz'), or take another --format\n", drawn.err)
    end)

    it("says so when dot fails", function()
      process.write_file(path "dot", "#!/bin/sh\necho no memory >&2\nexit 3\n")
      assert(os.execute("chmod +x " .. path "dot"))
      local drawn = troupe_with_path(folder .. ":/bin:/usr/bin", path "market.lua", "-o", path "drawn.svg")
      assert.same({ FAILED, "no memory\ntroupe: dot could not draw it (exit code 3)\n" }, { drawn.code, drawn.err })
      assert.equal("dot\nmarket.lua\n", files())
    end)

    it("has every text, whatever it says", function()
      if not os.execute("command -v dot >/dev/null") then
        pending("Graphviz is not installed")
        return
      end
      local function shown(text) -- runs of spaces are one, or none at the ends
        return (text:gsub("\u{A0}", " "):gsub(" +", " "):match("^ *(.-) *$"))
      end
      for seed = 1, 12 do
        local model, wanted, got = wild_model(seed), {}, {}
        process.write_file(path "wild.dot", graph.dot(model))
        local drawn = process.run { "dot", "-Tsvg", path "wild.dot" }
        assert.same({ 0, "" }, { drawn.code, drawn.err })
        each_label(drawing.make(model), function(lines)
          for _, line in ipairs(lines) do
            if shown(line) ~= "" then table.insert(wanted, shown(line)) end
          end
        end)
        for text in drawn.out:gmatch("<text[^>]*>([^<]*)</text>") do
          text = text:gsub("&#(%d+);", function(code) return utf8.char(tonumber(code)) end)
            :gsub("&(%a+);", { lt = "<", gt = ">", quot = '"', apos = "'" }):gsub("&amp;", "&")
          if shown(text) ~= "" then table.insert(got, shown(text)) end
        end
        table.sort(wanted)
        table.sort(got)
        assert.same(wanted, got, "seed " .. seed)
      end
    end)
  end)
end)
