-- A supervisor in a supervisor whose child fails again and again, until all of it
-- has; the root goes on as it is, which ends the host.
function on_start()
  assert(actor.supervise {
    name = "outer", restart = { max = 1, backoff = "1ms" },
    children = {
      { script = "storm_echo", name = "bystander" },
      { name = "inner", supervise = { restart = { max = 1, backoff = "1ms" },
        children = { { script = "storm_victim", name = "victim" } } } },
    },
  })
  actor.every("5ms", "Poke")
end

function on_poke() actor.ref("victim"):try_send("Poke") end
