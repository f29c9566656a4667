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

local FOREVER = 1e9     -- seconds
local PATIENCE = 1      -- with a supervisor that is to be gone

-- Its name may be taken again then. Whoever asks is told when there is nobody to
-- answer any more, which is a moment before the name is free.
local function await_end(ref)
  local name, deadline = tostring(ref):match("^[^@]+"), actor.now() + PATIENCE
  ref:ask("AwaitEnd", nil, { timeout = PATIENCE })
  while actor.ref(name) == ref and actor.now() < deadline and actor.sleep("1ms") do end
end

-- Raises at the line of the script that has called actor.supervise.
local function misuse(text)
  error("actor.supervise: " .. text, 3)
end

---@param host { script: string, supervisor: string, refuse_here: fun(), failure: fun(reason: string, text: string): nil, troupe.Why }
---  script: the path of the script that calls; supervisor: of the shipped one
---@return fun(options: table): troupe.Ref?, troupe.Why?
return function(host)
  return function(given)
    local here, why_not_here = pcall(host.refuse_here)
    if not here then error(why_not_here, 2) end
    if type(given) ~= "table" then misuse("options are a table, not a " .. type(given)) end
    local config = {}
    for key, value in pairs(given) do
      if key ~= "name" then config[key] = value end
    end
    local plan, wrong = Options.read(config)
    if not plan then misuse(wrong) end
    config.beside, config.awaited = host.script, true

    local ref, why = actor.spawn(host.supervisor, { name = given.name, config = config })
    if not ref then return nil, why end
    local answer, env = ref:ask("AwaitStart", nil, { timeout = FOREVER })
    if not answer then return nil, env end
    if env.type == "Started" then return ref end
    await_end(ref)
    local none, failure = host.failure("failed", answer.why)
    failure.name = answer.name
    return none, failure
  end
end
