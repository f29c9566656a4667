--- actor.supervise: makes a supervisor (actors/supervisor.lua) and waits until all
--- its children have started.
---
--- ```lua
--- local shop = assert(actor.supervise {
---   strategy = "rest_for_one",
---   children = { { script = "stock", name = "stock" }, { script = "till", name = "till" } },
--- })
--- ```
local Options = require "troupe.supervisor_options"

local FOREVER = 1e9 -- seconds

-- Raises at the line of the script that has called actor.supervise.
local function misuse(text, ...)
  error("actor.supervise: " .. text:format(...), 3)
end

---@param host { script: string, supervisor: string, refuse_loading: fun(), failure: fun(reason: string, text: string): nil, troupe.Why }
---  script: the path of the script that calls; supervisor: of the shipped one
---@return fun(options: table): troupe.Ref?, troupe.Why?
return function(host)
  return function(given)
    host.refuse_loading()
    if type(given) ~= "table" then misuse("options are a table, not a %s", type(given)) end
    local config = { strategy = given.strategy, restart = given.restart, children = given.children }
    local rest = {}
    for key, value in pairs(given) do
      if key ~= "name" then rest[key] = value end
    end
    local plan, wrong = Options.read(rest)
    if not plan then misuse("%s", wrong) end
    config.beside, config.awaited = host.script, true

    local ref, why = actor.spawn(host.supervisor, { name = given.name, config = config })
    if not ref then return nil, why end
    local answer, env = ref:ask("AwaitStart", nil, { timeout = FOREVER })
    if not answer then return nil, env end
    if env.type == "Started" then return ref end
    local none, failure = host.failure("failed", answer.why)
    failure.name = answer.name
    return none, failure
  end
end
