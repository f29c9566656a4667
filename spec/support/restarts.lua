-- For spec/children_spec.lua: would restart by itself if it were not supervised.
return {
  failure = "restart", restart = { max = 5 },
  on_start = function() end,
  on_fail = function() error("as asked") end,
}
