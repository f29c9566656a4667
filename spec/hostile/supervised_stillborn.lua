-- A child that fails in on_start for ever, and what trying costs.
function on_start()
  local before, cpu = actor.now(), os.clock()
  local none, why = actor.supervise { children = { { script = "stillborn", name = "child" } } }
  local took = actor.now() - before
  print(("supervised: %s"):format(none))
  print(("why: %s"):format(why))
  print(("child: %s"):format(why.name))
  print(("took_s: %.3f"):format(took))
  print(("cpu_share: %.4f"):format((os.clock() - cpu) / took))
  actor.stop_host(0)
end
