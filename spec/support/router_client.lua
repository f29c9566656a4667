-- For spec/shipped_settings_spec.lua: says how many targets the router has, and ends the host.
return {
  on_start = function()
    print(#assert(actor.ref("router"):ask("RouterTargets")).targets)
    actor.stop_host()
  end,
}
