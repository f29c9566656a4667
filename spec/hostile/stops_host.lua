-- For spec/failures_spec.lua: ends the host a moment later.
function on_start() actor.after("100ms", "End") end

function on_end() actor.stop_host(0) end
