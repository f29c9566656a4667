-- timer: one timer that ticks, one that fires once, told apart by their ids.
--
--   troupe run examples/timer.lua
--   troupe run examples/timer.lua -- 10    ten times as fast (it says the same)
--
--   Timeout  { id = integer }   from its own timers
--
-- expect: === Timer Example ===
-- expect:
-- expect: TimerActor: Starting timers...
-- expect:   - Periodic timer (id=1): every 500ms
-- expect:   - One-shot timer (id=2): fires after 2.5s
-- expect:
-- expect: TimerActor: Periodic tick #1
-- expect: TimerActor: Periodic tick #2
-- expect: TimerActor: Periodic tick #3
-- expect: TimerActor: Periodic tick #4
-- expect: TimerActor: *** COUNTDOWN COMPLETE! One-shot timer fired! ***
-- expect: TimerActor: Periodic tick #5
-- expect: TimerActor: Periodic tick #6
-- expect: TimerActor: Periodic tick #7
-- expect: TimerActor: Periodic tick #8
-- expect: TimerActor: Periodic tick #9
-- expect: TimerActor: Periodic tick #10
-- expect: TimerActor: Max ticks reached, cancelling periodic timer
-- expect: TimerActor: Shutting down...
-- expect:
-- expect: === Example Complete ===
local Timer = {}

local MAX_TICKS = 10

local function tick(self)
  self.ticks = self.ticks + 1
  print("TimerActor: Periodic tick #" .. self.ticks)
  if self.ticks == MAX_TICKS then
    print("TimerActor: Max ticks reached, cancelling periodic timer")
    self.ticker:cancel()
    actor.stop_host()
  end
end

function Timer:on_start()
  local speed = tonumber(actor.args[1]) or 1
  self.ticks = 0
  self.tick_id = actor.next_timer_id()
  self.countdown_id = actor.next_timer_id()

  print("=== Timer Example ===")
  print()
  print("TimerActor: Starting timers...")
  print("  - Periodic timer (id=" .. self.tick_id .. "): every 500ms")
  print("  - One-shot timer (id=" .. self.countdown_id .. "): fires after 2.5s")
  print()
  -- Armed first, the countdown is due a moment before the fifth tick.
  actor.after(2.5 / speed, self.countdown_id)
  self.ticker = actor.every(0.5 / speed, self.tick_id)
end

function Timer:on_timeout(msg)
  if msg.id == self.tick_id then
    tick(self)
  elseif msg.id == self.countdown_id then
    print("TimerActor: *** COUNTDOWN COMPLETE! One-shot timer fired! ***")
  end
end

function Timer:on_shutdown()
  print("TimerActor: Shutting down...")
  print()
  print("=== Example Complete ===")
end

return Timer
