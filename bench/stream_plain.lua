-- stream_plain: what bench/stream.lua does, on the standard input of plain Lua.
--   cat FILE | lua5.4 bench/stream_plain.lua
local function now()
  local file <close> = io.open("/proc/uptime")
  return file:read("n")
end

local started, sum, count = now(), 0, 0
for line in io.lines() do
  sum, count = sum + tonumber(line), count + 1
end
assert(sum == count * (count + 1) // 2)
print(("stream lines %.6g 1/s"):format(count / (now() - started)))
