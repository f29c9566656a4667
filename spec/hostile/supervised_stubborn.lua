-- Three children that do not end when they are told to, each in a way of its own;
-- how long their supervisor takes to end. Then nobody is left, and the host ends.
function on_start()
  local children = {}
  for _, how in ipairs { "loops", "waits", "shuts_down" } do
    table.insert(children, { script = "stubborn", name = how, shutdown = "500ms", thread = "own",
                             config = { how = how } })
  end
  local supervisor = assert(actor.supervise { name = "supervisor", children = children })
  for _, child in ipairs(children) do actor.ref(child.name):send("Begin") end
  actor.sleep("200ms")
  local before = actor.now()
  actor.watch(supervisor)
  supervisor:stop()
  actor.receive("Down", { timeout = "60s" })
  print(("took_s: %.3f"):format(actor.now() - before))
  print(("left: %s"):format(table.concat(actor.names(), " ")))
  actor.exit()
end
