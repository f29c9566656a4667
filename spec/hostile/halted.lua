-- For spec/failures_spec.lua: fails, and is halted for an hour.
return {
  failure = "restart", restart = { backoff = "1h" },
  on_start = function() actor.self:send("Go") end,
  on_go = function() error("halted for an hour") end,
}
