-- A tree of actors that say when they end, until the host is told to.
function on_start()
  local script = "says_its_end"
  assert(actor.supervise { name = "outer", children = {
    { script = script, name = "first" },
    { name = "inner", supervise = { children = { { script = script, name = "x" }, { script = script, name = "y" } } } },
    { script = script, name = "last" },
  } })
  print("ready")
end
