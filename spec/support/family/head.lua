-- For spec/supervisor_spec.lua: supervises the script beside it, which nobody would
-- find from elsewhere; and once more from inside a supervisor.
function on_start()
  local ref, why = actor.supervise { name = "supervisor", children = {
    { script = "member", name = "near" },
    { name = "inner", supervise = { children = { { script = "member.lua", name = "deep" } } } },
  } }
  print(ref and "supervised" or why.text)
end
