-- A node as troupe up sees it: what it makes of what its process does.
local Node = require "troupe.up.node"

describe("a node that is told to end", function()
  local node, sent

  before_each(function()
    sent = {}
    node = Node.new({ node = "feed" }, {
      spawn = function() return 1, 4711 end,
      kill = function(_, signal) table.insert(sent, signal) end,
      say = function() end,
    })
    node:start(0)
  end)

  it("has ended as it should when it was so young that the signal ended it", function()
    node:stop()
    node:exited({ signal = "TERM" }, 1)
    assert.same({ "ended", 0, { "TERM" } }, { node.state, node.code, sent })
  end)

  it("has ended with its host's exit code, and is told once", function()
    node:heard('{"ready":true}', 1)
    node:stop()
    node:stop()
    node:exited({ code = 3 }, 2)
    assert.same({ "ended", 3, { "TERM" } }, { node.state, node.code, sent })
  end)

  it("has failed when it had to be killed, or died otherwise", function()
    for _, signal in ipairs { "KILL", "SEGV" } do
      node:start(0)
      node:stop()
      node:exited({ signal = signal }, 1)
      assert.same({ "ended", 1 }, { node.state, node.code })
    end
  end)
end)
