-- loads_forever: its top level does not end.
while true do pcall(function() while true do end end) end
