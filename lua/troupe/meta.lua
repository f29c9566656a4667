---@meta troupe
--- The types of everything that Troupe gives to scripts. Never loaded: read by
--- the Lua language server, and by people.
---
--- In all of it: a *duration* is a text such as "250ms", "2s", "1.5s", "1m",
--- "1h", or a number of seconds; it may not be negative or more than 1e9 s.
--- *Misuse* (a wrong type, an unknown option, a value that cannot be sent)
--- raises an error at the caller's line; what may happen to correct code is
--- returned as `nil, why`. *Waiting* suspends the handler, never a thread, and
--- the actor handles no other message meanwhile.

---@alias troupe.Duration string|number

--- Why something did not happen. `tostring(why)` is a sentence for people.
---@class troupe.Why
---@field reason "timeout"|"rejected"|"failed"|"down"|"deadlock"|"full"|"unreachable"|"no_reply"|"stopping"|"reload"
---@field text string  that sentence
---@field name? any  of actor.all: the key of the question that failed; of actor.supervise: the child's name

--- What has come of a reload. What there is nothing to say about is missing.
---@class troupe.ReloadReport
---@field ok boolean  false: the old version goes on everywhere; see `error`
---@field changed boolean  false: everything is as it was
---@field undo? true
---@field trial_s? number  how long it is on trial
---@field scripts? { script: string, from: integer, to?: integer, version?: string, hash: string, instances: integer, migrated: integer }[]
---  `from`, `to`: versions count from 1; `version`: what the script says of itself;
---  `migrated`: of how many instances on_reload has changed the state
---@field modules? string[]  files of modules that have another text now
---@field warnings? string[]
---@field stale? string[]  "pong: on_buy": handlers that wait on the old code, with locals into tables of self that were replaced
---@field held_ms? number  how long the instances were held
---@field error? string  "examples/pong.lua:7: ..."

--- A message: a table with string keys, copied when it is sent. Values: booleans,
--- integers, floats, strings, refs, `json.null`, and arrays and string-keyed
--- tables of them, to a depth of 64. No message (nil) arrives as `{}`.
---@alias troupe.Message table<string, any>

---------------------------------------------------------------- scripts ----

--- What a script returns: `on_<type>` functions, called with `self`, the message
--- and its env, and what the script wants for itself where its spawner says
--- nothing. `MarketDepth` arrives at `on_marketdepth` or `on_market_depth`.
---@class troupe.Script
---@field version? integer|string  shown in reports
---@field mailbox? troupe.MailboxOptions
---@field thread? "pool"|"own"|string  default "pool"; "group:NAME" shares one thread
---@field failure? troupe.Failure  default "continue"
---@field restart? troupe.RestartOptions  of failure = "restart"
---@field memory? string|integer  bytes, or "256MiB" (the default): what its Lua state may hold
---@field slice? troupe.Duration  default 5 s: how long a handler may run before it is reported
---@field slow? "report"|"stop"  default "report"; "stop" fails a handler that outruns its slice
---@field children? integer  how many there may be at once; default the host's --children
---@field trap_exit? boolean  default false; true: the end of an actor it is linked to is told, and does not end it
---@field on_start? fun(self: troupe.Self, msg: troupe.Start, env: troupe.Env)  the first of all, and of every restart
---@field on_shutdown? fun(self: troupe.Self, msg: troupe.Message, env: troupe.Env)  the last, also before a restart
---@field on_timeout? fun(self: troupe.Self, msg: troupe.Timeout, env: troupe.Env)
---@field on_reject? fun(self: troupe.Self, msg: troupe.Reject, env: troupe.Env)
---@field on_down? fun(self: troupe.Self, msg: troupe.Down, env: troupe.Env)  see actor.watch
---@field on_dead_letter? fun(self: troupe.Self, msg: troupe.DeadLetter, env: troupe.Env)  see actor.watch_dead_letters
---@field on_config? fun(self: troupe.Self, msg: table, env: troupe.Env)  of a topology: its actor's config has changed to
--- `msg` while it runs; self.config stays what it was. See docs/topology.md
---@field on_any? fun(self: troupe.Self, msg: troupe.Message, env: troupe.Env)  what nothing else takes; see env.type
---@field on_reload? fun(self: troupe.Self, from: integer|number|string)  brings self up to date for this version of
--- the script; `from` is the `version` of the one before, 0 if it has none. It works on a copy of self, so that its
--- failure changes nothing: the old version goes on. What it sends, and the timers it sets and cancels, happen when the
--- reload is committed; all else (spawning, waiting, watching, answering, ...) raises; it has 1 s

--- The actor's state: a table of its own, empty at first but for `config`.
---@class troupe.Self
---@field config table  what the spawner passed; never nil
---@field [string] any

--- What comes of a handler that fails, when the report is printed and the message is
--- a dead letter. "continue": the actor goes on with its state. "stop": it ends.
--- "restart": it begins again with a fresh state, and keeps its ref, name and mail.
--- "escalate": it ends, and its parent fails with it; without a parent, the host ends.
---@alias troupe.Failure "continue"|"stop"|"restart"|"escalate"

--- How often an actor restarts by itself; past that it does as with "escalate".
---@class troupe.RestartOptions
---@field max? integer  1 to 1000 restarts; default 3
---@field within? troupe.Duration  in any such span; default "10s"
---@field backoff? troupe.Duration  the first and the longest wait before one, "100ms..5s" (the default); or one for all

---@class troupe.Start
---@field restarts integer  how often this actor has begun before: 0 the first time

---@class troupe.MailboxOptions
---@field limit? integer  messages, 1 to 4000000; default 1024
---@field bytes? string|integer  "16MiB" (the default), "512KiB", or a number of bytes
---@field overflow? "wait"|"fail"|"drop_old"|"drop_new"  default "wait": who sends waits for room

--- The family's timer message, for timers that were made with a number.
---@class troupe.Timeout
---@field id integer
---@field missed? integer  of actor.every: ticks left out because the actor was busy

--- What comes back for a message that could not be handled elsewhere.
---@class troupe.Reject
---@field message_type string
---@field reason string
---@field rejected_by string  the receiver that was asked for, on its own host; env.from is nil: a Reject has no sender

--- An actor that was watched, or linked to by one that traps exits, has ended.
---@class troupe.Down
---@field who troupe.Ref  equal to the ref that was watched
---@field name string  "an ended actor" if it was gone before the watch began
---@field reason "normal"|"killed"|"memory"|"slow"|"unreachable"|"no such actor"|string  normal: by itself,
---  by a stop, or with the host; "error: " and why, when a handler failed; else what it gave to actor.exit

------------------------------------------------------------------ actor ----

--- The actor that runs, and what it may do.
---@class troupe.Actor
---@field self troupe.Ref  the ref of this actor; not yet known while the top level loads
---@field name string  unique in this host; not yet known while the top level loads
---@field args string[]  what stood behind `--` on the command line; the same in all actors
actor = {}

--- A ref from its text: "pong" (of this host), "pong@tcp://10.0.0.7:5001",
--- "pong@:5001" (which is 127.0.0.1), "registry@flat::5555" (where flat JSON is
--- spoken over REQ/REP; see docs/registry.md), "pong@risk" (of a node of the topology that
--- this host is a part of; where that is, is looked up at each use). A name that a living
--- actor of this host has now becomes that very actor; any other is looked for at each use.
--- An address at an endpoint of ours, or at our node, is an actor of this host. A ref of a
--- node that is sent to another host arrives there as one to that node's endpoint.
---
--- `reliable`: what this actor sends there, by this or any equal ref, is kept
--- until the other host (a Troupe host) has acknowledged that it was handled, and
--- sent again if need be: nothing is lost or repeated and the order holds, over
--- lost connections and over restarts of that host, which may handle again what
--- it could not acknowledge. `false` makes it plain again. Means nothing more for
--- an actor of this host.
---@param text string
---@param options? { reliable?: boolean }
---@return troupe.Ref
function actor.ref(text, options) end

--- What a field of a declared type is: "any", "boolean", "integer", "number",
--- "ref", "string", "table"; behind it "[]" for an array of these ("[][]" of such
--- arrays), and "?" if it may be missing. Or a table of fields; what would stand
--- behind a type is then its first element: `{ "[]?", x = "number", y = "number" }`.
---@alias troupe.FieldType string|troupe.Fields

--- `{ count = "integer", note = "string?" }`, written on the wire sorted by name; or
--- `{ { "count", "integer" }, { "note", "string?" } }`, written in that order.
---@alias troupe.Fields table<string|integer, troupe.FieldType|[string, troupe.FieldType]>

--- Declares a message type, for this actor: what it sends of that type, and what
--- comes to it, must have these fields, and no others. `Ping{ count = 1 }` is a
--- message of it, checked there, which may be given to send, ask and the like in
--- place of type and msg. Where an integer is declared a float with an integer's
--- value is made one; null is taken for a missing field.
---@param name string  the message's type; not a built-in one, nor declared already with other fields
---@param fields troupe.Fields
---@return troupe.MessageType type
function actor.message(name, fields) end

--- The class of that name, a table whose `__index` is itself: for objects in self.
--- Each actor has one of each name for life. When the script is reloaded its methods
--- are taken out, the new top level fills it, and `setmetatable({}, Book)` of before
--- has the new methods. At the top level of a script or a module only.
--- ```lua
--- local Book = actor.class "Book"
--- function Book.new(title) return setmetatable({ title = title }, Book) end
--- function Book:print() print(self.title) end
--- ```
---@param name string
---@return table class
function actor.class(name) end

--- A declared type: `tostring(Ping)` is its name. Called with a message's fields it
--- raises if they are not as declared, naming the place (`Ping.pos.x: number
--- expected, not string`), and returns them. It may stand for its name, too:
--- `ref:send(Ping, { count = 1 })`, `actor.receive(Ping)`.
---@class troupe.MessageType
---@overload fun(fields?: troupe.Message): troupe.Declared

--- A table that is known as a message of a declared type. Its fields may be changed:
--- they are checked once more when it is sent.
---@class troupe.Declared: table<string, any>

---@class troupe.SpawnOptions: troupe.ScriptOptions
---@field name? string  [A-Za-z0-9_.-]+, at most 255; default: the file's name, "#" and a number
---@field config? table  with string keys; copied, becomes `self.config` there
---@field sandbox? boolean  default false: no files, programs or C modules; see docs/operations.md
---@field source? string  the text of the script: then the path is only what errors call it, and where its modules are looked for; not in a sandbox
---@field types? table<string, troupe.Fields>  message types that are declared before the script says anything, as by actor.message; it may declare them too, with the same fields in whatever order, and does not load if they are others
---@field if_absent? boolean  with `name`: if an actor has that name already it will do, as it is

--- What a spawner may set over the script's own fields of these names.
---@class troupe.ScriptOptions
---@field mailbox? troupe.MailboxOptions
---@field thread? "pool"|"own"|string
---@field failure? troupe.Failure
---@field restart? troupe.RestartOptions
---@field cpu? integer[]  CPUs that its own or its group's thread runs on, as {0, 1}; default all
---@field priority? integer  1 to 99: asks SCHED_FIFO for that thread; if the system refuses, that is logged
---@field memory? string|integer
---@field slice? troupe.Duration
---@field slow? "report"|"stop"
---@field interleave? boolean|string[]  while a handler waits, handle other messages: all, or those of these types; at most 1,000 handlers at once; default false
---@field children? integer
---@field trap_exit? boolean

--- Makes an actor and starts it; it is a child of this one, and ends with it.
--- The name is taken and mail is kept from now on, so it may be sent to at once.
--- `nil, why` if there is no such script, it does not load, the name is taken
--- ("failed"), the host has its limit of actors or of memory, or this actor its
--- limit of children ("full"), or the host is "stopping".
--- With `if_absent` a name that is taken is no failure: the ref is that of the actor
--- that has it, whose script and config are not looked at, and which stays whose
--- child it is. Of many that spawn so at the same time one makes the actor.
---@param script string  a path, with or without ".lua": beside this script, in the current folder, among the shipped actors
---@param options? troupe.SpawnOptions
---@return troupe.Ref? ref
---@return troupe.Why|boolean|nil why_or_made  with `if_absent`: whether the actor was made
function actor.spawn(script, options) end

--- The actor of this host that is called so. With `wait` it waits until there is one;
--- without, "down" says at once that there is none, and which name is near. It does
--- not find the host's own actors; for actors elsewhere see actor.registry.
---@param name string  [A-Za-z0-9_.-]+
---@param options? { wait?: troupe.Duration }  default: it does not wait
---@return troupe.Ref? ref
---@return troupe.Why? why  "down", "timeout", "stopping"
function actor.lookup(name, options) end

--- The names of the living actors of this host, sorted bytewise: those that somebody
--- gave them, not "file#7" nor the host's own.
---@param prefix? string  what they begin with; default ""
---@return string[] names
function actor.names(prefix) end

--- How many messages an actor of this host has not handled yet: those in its
--- mailbox, those whose senders wait for room there, and the one in hand. What was
--- true when it was asked. "down": there is no such actor; "failed": it is elsewhere.
---@param ref troupe.Ref
---@return integer? count
---@return troupe.Why? why
function actor.backlog(ref) end

--- This actor is in the group from now on, behind those that are in it; if it was in
--- it already nothing changes. Groups are of this host. It leaves by actor.leave or
--- when it ends. "full": it is in 1000 groups already.
---@param group string  [A-Za-z0-9_.-]+, at most 255
---@return true? joined
---@return troupe.Why? why
function actor.join(group) end

--- It is not in the group any more. What others are publishing at this very moment
--- may still come. "failed": it was not in it.
---@param group string
---@return true? left
---@return troupe.Why? why
function actor.leave(group) end

--- Who is in the group, in the order of joining; nobody, if there is no such group.
---@param group string
---@return troupe.Ref[] members
function actor.members(group) end

--- Sends a copy to each member of the group, to this actor too if it is one. Never
--- waits: where the mailbox is full it becomes a dead letter ("full"). What one actor
--- publishes and sends reaches another in that order.
---@param group string
---@param type string|troupe.MessageType
---@param msg? troupe.Message
---@param options? { priority?: "high"|"normal" }
---@return integer took  members whose mailbox has it
---@return integer refused  members whose mailbox was full
function actor.publish(group, type, msg, options) end

--- From now on this actor is sent a Down when that one has ended: once, however
--- often it is watched, and also if its mailbox is full; at once, with the reason
--- "no such actor", if there is none. It is handled when no handler is in hand, or
--- taken by actor.receive("Down"); without an on_down it is nothing. A watch ends
--- with its Down, and with this actor. Watching itself is refused. An actor of
--- another host can be watched, too: see docs/watching.md for what is known of it.
---@param ref troupe.Ref  a ref by name means whoever has the name now
---@return true? watched
---@return troupe.Why? why  "full": there is no memory, or it watches a million already
function actor.watch(ref) end

--- No more: after it returns no Down of that actor is handled, even if it had come.
---@param ref troupe.Ref
---@return boolean was  whether it was watched
function actor.unwatch(ref) end

--- Ties this actor and another of this host together: when one of them ends with any
--- other reason than "normal", the other ends with "error: linked NAME ended: REASON"
--- (running on_shutdown; a wait under way is cut). One that has `trap_exit = true` does
--- not: it is sent a Down instead, also of a normal end. Linked is linked, from
--- whichever side and however often. One who is not there any more counts as ended just now.
---@param ref troupe.Ref
---@return true? linked
---@return troupe.Why? why
function actor.link(ref) end

--- Cuts the tie, for both.
---@param ref troupe.Ref
---@return boolean was  whether they were linked
function actor.unlink(ref) end
--- What a supervisor does when a child ends: restarts that one; all; that one and
--- those behind it.
---@alias troupe.Strategy "one_for_one"|"one_for_all"|"rest_for_one"

--- How often a supervisor restarts its children, all together, before it gives up.
---@class troupe.SupervisorRestart
---@field max? integer  restarts in any span of `within`, 0 to 1000; default 3
---@field within? troupe.Duration  default 10 s
---@field backoff? string|number  the shortest and the longest wait before one; default "100ms..5s"

---@class troupe.Supervision
---@field strategy? troupe.Strategy  default "one_for_one"
---@field restart? troupe.SupervisorRestart
---@field children? troupe.Child[]  in the order of their start; they are stopped in reverse

--- A child of a supervisor. What else actor.spawn takes may be given, too; `failure`
--- is "stop" (the default) or "continue".
---@class troupe.Child: troupe.ScriptOptions
---@field script? string  a path, looked for as by actor.spawn
---@field supervise? troupe.Supervision  instead of a script: a supervisor
---@field name? string
---@field config? table
---@field kind? "permanent"|"transient"|"temporary"  restarted always (the default), if it failed, never
---@field shutdown? troupe.Duration|"brutal"|"infinity"  how long on_shutdown may take before it is killed;
---  default 5 s, of a supervisor "infinity"

---@class troupe.SuperviseOptions: troupe.Supervision
---@field name? string  of the supervisor

--- Makes a supervisor, a child of this actor, and waits until all its children have
--- started. `nil, why` if one cannot be made, or could not start within the limits
--- ("failed"; why.name is that child); then all are stopped again. When it gives up later, this
--- actor fails with it, as its `failure` says. See docs/supervision.md.
---@param options troupe.SuperviseOptions
---@return troupe.Ref? supervisor  takes WhichChildren, StartChild and the like: actors/supervisor.lua
---@return troupe.Why? why
function actor.supervise(options) end

--- The family's registry of actors at an endpoint: which actor is where. Made once
--- for each actor that wants it; `nil, why` when the host stops or is full.
---@param endpoint? string  ":5555" (the default), "tcp://10.0.0.7:5555"
---@return troupe.Registry? registry
---@return troupe.Why? why
function actor.registry(endpoint) end

--- Ends this actor, here: no pcall catches it. Its children and timers end too.
---@param reason? string  shown to people; default none
function actor.exit(reason) end

--- Asks the host to stop: every actor handles what it has and runs on_shutdown.
--- Returns; the handler goes on.
---@param code? integer  the program's exit code, 0 (the default) to 255
function actor.stop_host(code) end

--- Waits until all the questions have their answers, or cannot have them. When
--- some cannot: `nil, why`, of the one that failed first, and the others' answers.
---@generic K
---@param questions table<K, troupe.Question>  from ref:start_ask; an array, or by name
---@param options? { timeout?: troupe.Duration }  one deadline for all of them; default 5 s
---@return table<K, troupe.Message>? answers  under the keys of their questions
---@return troupe.Why? why  why.name is the key of that question
---@return table<K, troupe.Message>? some  the answers that there are
function actor.all(questions, options) end

--- Waits for the first answer to any of the questions; the others can still be
--- awaited. `nil, why` when none can be answered, or in time.
---@generic K
---@param questions table<K, troupe.Question>
---@param options? { timeout?: troupe.Duration }  default 5 s
---@return K? key  of the question that was answered
---@return troupe.Message|troupe.Why msg_or_why
---@return troupe.Env? env
function actor.any(questions, options) end

--- Waits inside a handler for the next message of a type; others stay queued,
--- in order.
---@param types string|troupe.MessageType|(string|troupe.MessageType)[]
---@param options? { timeout?: troupe.Duration }  default 5 s
---@return troupe.Message? msg
---@return troupe.Env|troupe.Why env_or_why
function actor.receive(types, options) end

--- Waits.
---@param duration troupe.Duration
---@return true? slept
---@return troupe.Why? why  it was cut short: "stopping"
function actor.sleep(duration) end

--- Sends a message once, after a delay: to this actor, or to another of this
--- host. It ends with this actor. `nil, why` if the host has its limit of timers
--- ("full"), or nobody has the name in `to` ("down").
---@param delay troupe.Duration  0 is fine
---@param type string|troupe.MessageType|integer  a message's type, or the id of a Timeout{id};
---  a declared message stands for type and msg
---@param msg? troupe.Message  not with an id
---@param options? { to?: troupe.Ref }  default: this actor
---@return troupe.Timer? timer
---@return troupe.Why? why
function actor.after(delay, type, msg, options) end

--- The same each `interval`, without drift. A tick is never queued twice: how
--- many were left out stands in `msg.missed`.
---@param interval troupe.Duration  more than 0; also the delay of the first
---@param type string|integer
---@param msg? troupe.Message
---@param options? { to?: troupe.Ref }
---@return troupe.Timer? timer
---@return troupe.Why? why
function actor.every(interval, type, msg, options) end

--- A number that no other timer of this actor has: 1, 2, 3...
---@return integer
function actor.next_timer_id() end

--- Seconds of a clock that never goes back, from an arbitrary start.
---@return number
function actor.now() end

--- Seconds since 1970 by the wall clock. On the stage: since its clock began,
--- and 946684800 (2000-01-01 UTC).
---@return number
function actor.time() end

--- How another host that is sent to stands.
---@class troupe.PeerMetrics
---@field endpoint string
---@field state "connecting"|"connected"|"lost"  lost: it was connected, and is tried again
---@field queued integer        messages that wait to leave
---@field queued_bytes integer
---@field oldest number         seconds that the first of them has waited
---@field sent integer          handed to the network
---@field full integer          refused, for there was no room in the queue
---@field unconfirmed integer   handed to the network just before a connection was lost: perhaps
---  lost with it (those of the last 0.1 s, and those that the other machine had not acknowledged)

---@class troupe.WireMetrics
---@field frames_in integer        frames that came
---@field frames_out integer       messages that left, or wait to
---@field frames_bad integer       of those that came: malformed
---@field rejected integer         messages from elsewhere that no actor here takes
---@field late_answers integer     answers that nobody waited for any more
---@field full integer             not taken, for a queue had no room
---@field lost integer             waited in a queue and can never leave: now dead letters
---@field unconfirmed integer      see troupe.PeerMetrics; of all peers there ever were
---@field flat_asked integer       flat requests that were made (docs/registry.md)
---@field flat_lost integer        of these: there was no connection in time, or no answer
---@field flat_served integer      flat requests of others that reached an actor
---@field senders_refused integer  frames whose sender cannot be answered
---@field rejects_held integer     Rejects not sent: too many, or no way
---@field keys_refused integer     frames dropped: their key is listed no more
---@field connections integer          that others made to us, ever
---@field connections_greeted integer  of these, those that spoke ZeroMQ and were let in
---@field connections_refused integer  for their address or key
---@field connections_cut integer      they sent a message without end
---@field frames_resent integer        over reliable refs: sent again
---@field frames_duplicate integer     that came over them and had been here before
---@field frames_out_of_order integer  the same, but one before it was missing
---@field acks_in integer
---@field acks_out integer
---@field streams_waiting integer      reliable refs with something unacknowledged, now
---@field peers troupe.PeerMetrics[]

---@class troupe.Limits
---@field actors integer
---@field children integer      of one actor that says nothing else
---@field timers integer
---@field dead_letters integer  that are kept
---@field memory integer        bytes of all scripts: beyond it there are no new actors
---@field frame integer         bytes of a message to or from elsewhere
---@field depth integer         tables in tables in one that comes from there

--- What this host has counted since it began.
---@class troupe.Metrics
---@field actors integer        that live now
---@field ended integer         that have ended
---@field restarts integer      of actors that failed, and by supervisors
---@field dead_letters integer  messages that could not be delivered
---@field unhandled integer     messages without a handler
---@field bad_fields integer    messages of a declared type that did not fit it
---@field timers integer        that are armed now
---@field timers_fired integer
---@field memory integer        bytes that all scripts of the process have
---@field log_lost integer      log lines that could not be written
---@field limits troupe.Limits  what there may be (docs/operations.md)
---@field refused { actors: integer, children: integer, timers: integer, memory: integer }  because of these
---@field wire troupe.WireMetrics  on the stage only with `frames_bad`, `rejected`, `late_answers`
---@field streams troupe.StreamMetrics

---@class troupe.StreamMetrics
---@field open integer       now
---@field opened integer     since the host began; connections are streams, too
---@field items integer      lines and the like, handed to actors
---@field bytes_in integer   read
---@field bytes_out integer  written

---@return troupe.Metrics
function actor.metrics() end

--- Puts new code in the place of this script (or `script`), and of the modules it
--- requires, in all actors that run it, or in none: as `troupe reload` does. Waits for
--- the outcome. `self`, timers, names and mail stay; handlers that wait, this one
--- among them, finish on the code they began with.
--- Raises in on_reload, and in a sandbox.
---@param options? { script?: string, trial?: troupe.Duration, undo?: boolean }
---  trial: the first handler error within that time brings all of them back to the
---  code and the state they had. undo: back to the version before.
---@return true? done
---@return troupe.ReloadReport|troupe.Why report_or_why  "reload": refused, with the
---  report in why.report; "stopping"
function actor.reload(options) end

--- A message that came to nothing.
---@class troupe.DeadLetter
---@field id integer    from 1, in the order in which they died
---@field type string   the message's type
---@field from string   the name of its sender, or "nobody"
---@field to string     the name of its receiver, cut to 127 bytes; elsewhere: its address
---@field reason "rejected"|"failed"|"down"|"full"|"unreachable"|string
---@field text string   the same in words
---@field age? number   actor.dead_letters: seconds since it died, to within a few milliseconds
---@field msg? troupe.Message  actor.dead_letters: the message
---@field ref? troupe.Ref      actor.dead_letters: its receiver, if that lives
---@field missed? integer      of the message DeadLetter: how many this actor was not told of since the last
---  one, for its mailbox was full

--- The dead letters of this host that are kept (the last 1000, at most 4 MiB), oldest first.
--- Not in a sandbox.
---@param options? { limit?: integer, id?: integer }  limit: the newest so many, default 100;
---  id: that one only
---@return troupe.DeadLetter[] letters
function actor.dead_letters(options) end

--- From now on this actor is sent a message DeadLetter (handler on_dead_letter; its fields are
--- those above) for each dead letter of this host, over restarts, until it ends or calls it
--- with false. They take their room in its mailbox; what does not fit is counted in `missed`.
--- A DeadLetter never becomes a dead letter itself. "full": 16 actors do so already. Not in a sandbox.
---@param on? boolean  default true
---@return boolean? told  with false: whether it was told of them so far
---@return troupe.Why? why
function actor.watch_dead_letters(on) end

--- Opens a source: its items come to this actor as messages, and at last one
--- notice of its end. It is never more than its window ahead of what the actor
--- has handled. Ends with the actor. See docs/streams.md.
---@param source troupe.Source
---@param options? troupe.StreamOptions
---@return troupe.Stream? stream
---@return troupe.Why? why
function actor.stream(source, options) end

--- The lines of a file, or with "-" of the standard input, which one stream at a
--- time may read.
---@param path string  relative to the current folder
---@return troupe.Source
function actor.lines(path) end

--- A child process: its output comes as lines, send() writes to its input. It
--- leads a process group of its own, which ends with the stream.
---@param command { [integer]: string, cwd?: string, stderr?: "inherit"|"lines"|"none" }
---  the program, found as the shell does, and its arguments; cwd: where it runs;
---  stderr: default "inherit": the host's; "lines": among its output
---@return troupe.Source
function actor.process(command) end

--- TCP connections that come in, each a stream of its own.
---@param endpoint string  "tcp://127.0.0.1:5001", ":5001"; port 0: any, see stream:address()
---@return troupe.Source
function actor.listen(endpoint) end

--- One TCP connection to elsewhere.
---@param endpoint string
---@return troupe.Source
function actor.connect(endpoint) end

--- The messages of a ZeroMQ publisher that begin with the prefix (default: all).
---@param endpoint string
---@param prefix? string
---@return troupe.Source
function actor.subscribe(endpoint, prefix) end

--------------------------------------------------------------- registry ----

--- Finds actors by name, and lets them be found. It waits while it asks, and asks
--- again when an answer is lost; the timeout is for all of it, default 5 s.
---@class troupe.Registry
local Registry = {}

--- Registers an actor of this host under its own name, with the endpoint that
--- the host advertises. From then on heartbeats are sent every 2 s, whatever the
--- actor does, and a registry that has forgotten it is told again; until the actor
--- or its host ends. "rejected": somebody else has the name. "failed": this host does
--- not listen. "down": there is no such actor.
---@param actor string|troupe.Ref
---@param options? { timeout?: troupe.Duration }
---@return true? registered
---@return troupe.Why? why
function Registry:register(actor, options) end

--- Waits until an actor of that name is registered and online.
---@param name string
---@param options? { timeout?: troupe.Duration }
---@return troupe.Ref? ref
---@return troupe.Why? why  "timeout": nobody has registered it; "down": it is offline;
---  "unreachable": the registry does not answer
function Registry:lookup(name, options) end

--- Takes the name of an actor of this host out again.
---@param name string
---@param options? { timeout?: troupe.Duration }
---@return true? unregistered
---@return troupe.Why? why  "failed": this host has not registered it
function Registry:unregister(name, options) end

------------------------------------------------------------------- refs ----

--- An actor, wherever it is. Refs of one actor are equal by `==` and as keys of
--- tables; they may be put into messages. `tostring(ref)` is its address,
--- with the endpoint if its host listens.
---@class troupe.Ref
local Ref = {}

--- Sends a message. If the mailbox there is full it waits for room. To another
--- host it does not wait, whatever happens there, unless `timeout` is given: then
--- it waits for room in the queue to that host while the connection stands. A declared
--- message, here and below, stands for type and msg: `ref:send(Ping{ count = 1 })`.
---@param type string|troupe.MessageType
---@param msg? troupe.Message
---@param options? { timeout?: troupe.Duration, priority?: "high"|"normal", after?: troupe.Duration }
---  timeout: for room, default 5 s; priority: before all ordinary mail there;
---  after: a delayed send, which returns its timer
---@return true|troupe.Timer|nil sent
---@return troupe.Why? why  "full", "timeout", "down", "unreachable", "deadlock", "stopping"
function Ref:send(type, msg, options) end

--- The same, but never waits: a full mailbox is `nil, why`.
---@param type string|troupe.MessageType
---@param msg? troupe.Message
---@param options? { priority?: "high"|"normal" }
---@return true? sent
---@return troupe.Why? why
function Ref:try_send(type, msg, options) end

--- Sends a question and waits for its answer.
---@param type string|troupe.MessageType
---@param msg? troupe.Message
---@param options? { timeout?: troupe.Duration, priority?: "high"|"normal" }  timeout: default 5 s
---@return troupe.Message? msg  the answer
---@return troupe.Env|troupe.Why env_or_why
function Ref:ask(type, msg, options) end

--- Sends a question and goes on; actor.all or actor.any waits for its answer,
--- in the same handler. Never fails: what goes wrong is found among the answers.
---@param type string|troupe.MessageType
---@param msg? troupe.Message
---@param options? { priority?: "high"|"normal" }
---@return troupe.Question
function Ref:start_ask(type, msg, options) end

--- Asks the actor to end: it finishes the message in hand, runs on_shutdown,
--- and what is still in its mailbox goes to the dead letters.
---@param options? { drain?: boolean }  drain: handles what is in its mailbox first
---@return true? asked
---@return troupe.Why? why
function Ref:stop(options) end

--- A question on its way; for actor.all and actor.any, once, in this handler.
---@class troupe.Question

-------------------------------------------------------------------- env ----

--- About the message in hand. Made only for handlers that declare it. It may be
--- kept after env:defer(); else it is over when the handler ends.
---@class troupe.Env
---@field from troupe.Ref?  the sender; nil if there is none to answer to
---@field type string  the message's type, as it was sent
---@field remote boolean  it came from another host
---@field asked boolean  its sender waits for an answer
local Env = {}

--- Answers: the question, if it was asked, else with a message to the sender.
---@param type string|troupe.MessageType
---@param msg? troupe.Message
---@return true? sent
---@return troupe.Why? why
function Env:reply(type, msg) end

--- Passes the message on as it is: whoever gets it answers the first sender.
---@param ref troupe.Ref
---@return true? sent
---@return troupe.Why? why
function Env:forward(ref) end

--- Tells who asked that there is no answer: `nil, why` there, with reason
--- "failed"; to a sender elsewhere that did not ask, a Reject.
---@param reason? string
---@return true? sent
---@return troupe.Why? why
function Env:fail(reason) end

--- The message is not handled here: it becomes a dead letter with this reason. Who asked
--- is told `nil, why` with reason "rejected"; a sender elsewhere gets a Reject.
---@param reason? string
---@return true discarded
function Env:discard(reason) end

--- Keeps the question open after the handler has ended: keep the env, and
--- answer later. The asker's deadline goes on; it is told when the env is
--- collected, or this actor ends.
---@return troupe.Env env  the same
function Env:defer() end

---------------------------------------------------------------- streams ----

--- What a stream is made of; see actor.lines and its neighbours.
---@class troupe.Source

---@class troupe.StreamOptions
---@field as? string  the type of its messages, default "Line": handlers on_line, on_line_end,
---  and for connections on_line_open
---@field window? integer  items that may be on their way and not yet handled; default 256
---@field limit? string|integer  bytes of one line; default "1MiB". A longer one is an error
---@field buffer? string|integer  bytes that may wait to be written; default "1MiB"
---@field chunks? boolean  bytes as they come, instead of lines; default false
---@field half_open? boolean  a connection can still be written to when the other side has ended;
---  default false: until the handler of its end has ended
---@field connections? integer  of a listener, at once; default 10000

--- A message of a stream: an item.
---@class troupe.Line
---@field stream troupe.Stream  which it is from: the connection, not the listener
---@field text string  without its line end; of a subscription the first part
---@field parts? string[]  of a subscription, if the message had several parts

--- A connection has opened, or a stream was handed to this actor. It brings nothing
--- before the handler has ended.
---@class troupe.LineOpen
---@field stream troupe.Stream
---@field peer? string  of a connection: "tcp://127.0.0.1:40001"
---@field listener? troupe.Stream  through which it came in

--- The last message of each stream. "normal": it came to its end; "closed": this
--- actor closed it; else "error: ...".
---@class troupe.LineEnd
---@field stream troupe.Stream
---@field reason string
---@field code? integer  of a process: its exit status
---@field signal? integer  of a process: what ended it

--- An open stream. Handles of one stream are equal by `==` and as table keys, and
--- may be sent to other actors of this host. `tostring` says what it is.
---@class troupe.Stream
local Stream = {}

--- Writes to a connection, or to a process's input: all of it, in order. When the
--- buffer is full it waits for room: the actor, not its thread.
---@param text string
---@param options? { timeout?: troupe.Duration }  how long it waits; default 5 s
---@return true? sent
---@return troupe.Why? why  "full": the other side does not read; "down": it cannot be written to any more
function Stream:send(text, options) end

--- The same, but never waits.
---@param text string
---@return true? sent
---@return troupe.Why? why
function Stream:try_send(text) end

--- Nothing more will be written: the other side reads the end after all that was
--- sent. It can go on sending.
---@return true? done
---@return troupe.Why? why
function Stream:shutdown() end

--- Closes it: no item of it is handled from now on, its end comes with "closed".
--- What was sent still leaves, for 5 s at most; a process is ended.
---@return boolean open  whether it was
function Stream:close() end

--- Its messages go to another actor of this host from now on: on_line_open first.
--- Done in on_line_open, that actor gets every line of it.
---@param to troupe.Ref
---@return true? done
---@return troupe.Why? why
function Stream:hand_to(to) end

--- Where it listens, or where the connection leads.
---@return string? endpoint  "tcp://127.0.0.1:5001"; nil for other streams, and for ended ones
function Stream:address() end

----------------------------------------------------------------- timers ----

---@class troupe.Timer
local Timer = {}

--- Cancels. A timer for this actor can be cancelled until its handler begins,
--- even if its message lies in the mailbox; one for another actor until it fires.
---@return boolean prevented  whether this call prevented a delivery
function Timer:cancel() end

------------------------------------------------------------- json, log ----

--- JSON that keeps integers, floats, `[]` and null what they are.
---@class troupe.Json
---@field null userdata  a JSON null; equal only to itself, and true in a condition
json = {}

--- Raises if there is no JSON for the value, naming the path to what is wrong.
---@param value any
---@param options? { indent?: integer|string, spaced?: boolean, ascii?: boolean }
---  indent: spaces, or a text, for each level; default all on one line.
---  spaced: ", " and ": ", default true. ascii: \uXXXX for the rest, default false
---@return string text  keys are in bytewise order
function json.encode(value, options) end

---@param text string
---@return any value  nil if the text is no JSON
---@return string? why  with the place
function json.decode(text) end

--- Marks a table as an array, so that it is written as `[]` even when it is empty.
---@param table? any[]  default a new one
---@return any[] table  the same
function json.array(table) end

--- What is at the end of a path through tables; nil if a step is missing, or null.
---@param value any
---@param ... any  keys
---@return any
function json.get(value, ...) end

--- Lines on stderr with time, level, actor and script. Fields are shown behind
--- the text, sorted: `order taken {id=7 price=1.5}`. Other values than strings
--- are shown as by tostring, tables with their members. With `troupe run --log json`
--- a line is an object with time, level, actor, script, version, text and fields;
--- `troupe logs` shows the last ones.
---@class troupe.Log
log = {}

--- Not shown unless the host or this actor was told to: log.level().
---@param text string
---@param fields? table<string, any>
function log.debug(text, fields) end

---@param text string
---@param fields? table<string, any>
function log.info(text, fields) end

---@param text string
---@param fields? table<string, any>
function log.warn(text, fields) end

---@param text string
---@param fields? table<string, any>
function log.error(text, fields) end

--- The lowest level that is written of this actor: by itself, and by the host about it.
--- With an argument it is changed first, from now on and across restarts; `"default"`
--- is the host's again (`--log-level`). `troupe logs --set LEVEL --actor NAME` does the same.
---@param level? "debug"|"info"|"warn"|"error"|"default"
---@return "debug"|"info"|"warn"|"error" level
function log.level(level) end

------------------------------------------------------------------ stage ----

--- The stage: the real host with no threads and a clock that moves only when
--- told, for specs: `local Stage = require "troupe.stage"`. Where it takes an
--- actor it takes a ref of its own or a name.
---@class troupe.Stage
local Stage = {}

--- A stage with nothing on it; its clock stands.
---@param options? { seed?: integer }  the same seed gives the same run; default:
---  whoever was ready first runs first
---@return troupe.Stage
function Stage.new(options) end

--- Makes an actor; its on_start runs with the next run(), ask() or advance().
---@param script string|{ source: string, name?: string, thread?: string, failure?: string }
---  a path, or the text of a script
---@param config? table  becomes `self.config`
---@return userdata? actor
---@return string? why
function Stage:spawn(script, config) end

--- Queues a message; nothing runs yet. An answer to it is found in outbox().
---@param to userdata|string
---@param type string
---@param msg? troupe.Message
---@return true? sent
---@return string? why
function Stage:send(to, type, msg) end

--- Asks and runs until the answer is there, moving the clock if it must.
---@param to userdata|string
---@param type string
---@param msg? troupe.Message
---@param timeout? troupe.Duration  of the stage's clock; default 5 s
---@return troupe.Message? msg
---@return { type: string }|troupe.Why env_or_why
function Stage:ask(to, type, msg, timeout) end

--- Runs until nobody has anything to do; the clock stands.
---@return integer steps  how many times an actor ran
function Stage:run() end

--- Waits, in real time, until a stream has something to do; then runs until idle.
---@param duration troupe.Duration  at most so long
---@return boolean any  false: nothing has come
function Stage:poll(duration) end

--- Moves the clock on; timers fire at their time, in order. Until idle.
---@param duration troupe.Duration
function Stage:advance(duration) end

--- Puts new code in the place of an actor's script, in all actors that run it, as
--- `troupe reload` does; then runs until idle. What is queued before is handled by the
--- new code.
---@param to troupe.Ref|string
---@param source? string  the new text; nil: the script's file is read again
---@param options? { undo?: boolean, trial?: troupe.Duration }
---@return troupe.ReloadReport? report
---@return { reason: "reload", text: string, report: troupe.ReloadReport }? why  refused
function Stage:reload(to, source, options) end

--- Takes what has left for elsewhere since the last call.
---@return { to: string, type: string, msg: troupe.Message, from: string? }[]
function Stage:outbox() end

--- Takes the lines that scripts have printed since the last call.
---@return string[]
function Stage:output() end

--- Takes the lines of the log since the last call.
---@return { level: string, text: string }[]
function Stage:log() end

--- Takes what went to the dead letters since the last call.
---@return { type: string, to: string, from: string, reason: string, text: string }[]
function Stage:dead_letters() end

--- A line for each step so far: who handled what.
---@return string[]
function Stage:trace() end

--- Stops an actor, as ref:stop() does.
---@param to userdata|string
---@param options? { drain?: boolean }
function Stage:stop(to, options) end

---@param to userdata|string
---@return boolean
function Stage:alive(to) end

--- Seconds on the stage's clock since it was opened.
---@return number
function Stage:now() end

--- Stops the actors, then raises if a message, a timer or a state was left
--- behind, and says where it was made. Closing twice is fine.
function Stage:close() end
