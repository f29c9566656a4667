-- refused: what a script asks for and does not get. Prints `key: value` lines.
local Refused = {}

function Refused:on_start()
  print("gc: " .. tostring(select(2, pcall(setmetatable, {}, { __gc = function() while true do end end }))))
  print("sethook: " .. tostring(debug.sethook))
  print("setmetatable: " .. tostring(debug.setmetatable))
  print("upvaluejoin: " .. tostring(debug.upvaluejoin))
  actor.stop_host(0)
end

return Refused
