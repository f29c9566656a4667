%% troupe_bench -- the workloads of bench/*.lua for Erlang/OTP, to be measured
%% beside them:  erl -noshell -s troupe_bench main NAME
%% Prints `workload metric value unit`, as bench/run expects.
-module(troupe_bench).
-export([main/1, echo/0, member/1, idle/1, talker/2, creature/2, fib/2, init/1, start_worker/1]).

main([Name]) ->
    run(Name),
    init:stop().

seconds() -> erlang:monotonic_time(nanosecond) / 1.0e9.

report(Workload, Metric, Value, Unit) ->
    io:format("~s ~s ~.6g ~s~n", [Workload, Metric, float(Value), Unit]).

timed(Fun) ->
    Started = seconds(),
    Fun(),
    seconds() - Started.

await(_, 0) -> ok;
await(What, N) -> receive What -> await(What, N - 1) end.

%% A table { count = i } is nearest to a map with one key.
echo() ->
    receive
        {ping, From, #{count := Count}} -> From ! {pong, self(), #{count => Count}}, echo();
        {ask, From, Tag, #{count := Count}} -> From ! {Tag, #{count => Count}}, echo()
    end.

run(pingpong) -> pingpong("pingpong", 500000, 1);
run(pingpong100) -> pingpong("pingpong100", 20000, 100);
run(ask) ->
    Echo = spawn(fun echo/0),
    asks(Echo, 1000),
    Rounds = 300000,
    report("ask", "rtt", timed(fun() -> asks(Echo, Rounds) end) / Rounds * 1.0e6, "us");
run(ask100) ->
    Echo = spawn(fun echo/0),
    Rounds = 300000,
    Time = timed(fun() -> [ask_many(Echo, 100) || _ <- lists:seq(1, Rounds div 100)] end),
    report("ask100", "rtt", Time / Rounds * 1.0e6, "us");
run(oneway) -> oneway("oneway", 2000000, 1, table);
run(fanin) -> oneway("fanin", 2000000, 8, table);
run(oneway1k) -> oneway("oneway1k", 500000, 1, text);
run(fanin1k) -> oneway("fanin1k", 500000, 8, text);
run(spawn) ->
    Count = 10000,
    Before = resident(),
    Self = self(),
    Started = seconds(),
    All = [spawn(?MODULE, idle, [1]) || _ <- lists:seq(1, Count)],
    lists:last(All) ! {get, Self},
    receive {got, 1} -> ok end,
    Spawned = seconds() - Started,
    [begin Each ! {get, Self}, receive {got, 1} -> ok end end || Each <- All],
    report("spawn", "create", Spawned / Count * 1.0e6, "us"),
    report("spawn", "resident", (resident() - Before) / Count, "B"),
    Killed = timed(fun() ->
        [exit(Each, kill) || Each <- All],
        Ref = monitor(process, lists:last(All)),
        receive {'DOWN', Ref, _, _, _} -> ok end
    end),
    report("kill", "stop", Killed / Count * 1.0e6, "us");
run(ring) ->
    Hops = 1000000,
    Self = self(),
    [First | _] = All = [spawn(?MODULE, member, [Self]) || _ <- lists:seq(1, 503)],
    [Each ! {link, Next} || {Each, Next} <- lists:zip(All, tl(All) ++ [First])],
    Time = timed(fun() -> First ! {token, #{count => Hops}}, receive done -> ok end end),
    report("ring", "hop", Time / Hops * 1.0e9, "ns");
run(big) ->
    Count = 20000, Size = 64, Boss = self(),
    All = list_to_tuple([spawn(?MODULE, talker, [Boss, Count]) || _ <- lists:seq(1, Size)]),
    Time = timed(fun() ->
        [Each ! {go, All} || Each <- tuple_to_list(All)],
        await(done, Size)
    end),
    report("big", "msg_cost", Time / (2 * Size * Count) * 1.0e9, "ns");
run(chameneos) ->
    Meetings = 500000, Size = 100, Mall = self(),
    Time = timed(fun() ->
        [spawn(?MODULE, creature, [Mall, I rem 3]) || I <- lists:seq(1, Size)],
        meetings(Meetings),
        Met = 2 * Meetings,
        Met = count_met(Size, 0)
    end),
    report("chameneos", "meeting", Time / Meetings * 1.0e9, "ns");
run(fib) ->
    Number = 18, Boss = self(),
    Time = timed(fun() ->
        spawn(?MODULE, fib, [Boss, Number]),
        receive {value, Value} -> Value = plain_fib(Number) end
    end),
    report("fib", "actor", Time / fib_actors(Number) * 1.0e6, "us");
run(watch) ->
    Count = 10000,
    Boss = self(),
    Star = spawn(fun() -> receive quit -> ok end end),
    [spawn(fun() -> watch(Boss, Star) end) || _ <- lists:seq(1, Count)],
    await(ready, Count),
    Time = timed(fun() -> Star ! quit, await(heard, Count) end),
    report("watch", "all_told", Time * 1.0e3, "ms");
run(restart) ->
    Actors = 1000, Rounds = 20, Boss = self(),
    logger:set_primary_config(level, none), % as ours, which prints a few reports a second
    {ok, Supervisor} = supervisor:start_link(?MODULE, []),
    [supervisor:start_child(Supervisor, [Boss]) || _ <- lists:seq(1, Actors)],
    Started = [receive {ready, Pid} -> Pid end || _ <- lists:seq(1, Actors)],
    Time = timed(fun() ->
        [Pid ! fail || Pid <- Started],
        restarts(Actors * Rounds)
    end),
    unlink(Supervisor),
    exit(Supervisor, kill),
    report("restart", "rate", Actors * Rounds / Time, "restarts/s");
run(timers) ->
    Count = 100000,
    rand:seed(exsss, 1),
    Time = timed(fun() -> arm(Count) end),
    report("timers", "create", Time / Count * 1.0e6, "us"),
    Late = lists:sort(fired(Count, [])),
    report("timers", "late_p50", lists:nth(Count div 2, Late) * 1.0e3, "ms"),
    report("timers", "late_p99", lists:nth(Count * 99 div 100, Late) * 1.0e3, "ms").

pingpong(Name, Rounds, Pairs) ->
    Boss = self(),
    Pongs = [spawn(fun echo/0) || _ <- lists:seq(1, Pairs)],
    Time = timed(fun() ->
        [spawn(fun() -> ping(Boss, Pong, Rounds) end) || Pong <- Pongs],
        await(done, Pairs)
    end),
    report(Name, "msg_cost", Time / (2 * Rounds * Pairs) * 1.0e9, "ns").

ping(Boss, _, 0) -> Boss ! done;
ping(Boss, Pong, Count) ->
    Pong ! {ping, self(), #{count => Count}},
    receive {pong, Pong, #{count := Count}} -> ping(Boss, Pong, Count - 1) end.

watch(Boss, Star) ->
    Ref = monitor(process, Star),
    Boss ! ready,
    receive {'DOWN', Ref, process, Star, normal} -> Boss ! heard end.

asks(_, 0) -> ok;
asks(Echo, Count) ->
    Tag = make_ref(),
    Echo ! {ask, self(), Tag, #{count => Count}},
    receive {Tag, #{count := Count}} -> asks(Echo, Count - 1) end.

ask_many(Echo, Width) ->
    Tags = [begin Tag = make_ref(), Echo ! {ask, self(), Tag, #{count => I}}, Tag end
            || I <- lists:seq(1, Width)],
    [receive {Tag, #{count := _}} -> ok end || Tag <- Tags].

oneway(Name, Count, Senders, Kind) ->
    Boss = self(),
    Each = Count div Senders,
    Sink = spawn(fun() -> sink(Each * Senders), Boss ! done end),
    Time = timed(fun() ->
        [spawn(fun() -> source(Sink, Kind, Each) end) || _ <- lists:seq(1, Senders)],
        receive done -> ok end
    end),
    report(Name, "rate", Each * Senders / Time, "msg/s").

sink(0) -> ok;
sink(Left) ->
    receive
        {tick, #{count := _}} -> sink(Left - 1);
        {tick, #{text := _}} -> sink(Left - 1)
    end.

%% Above 64 bytes Erlang shares a binary; a fresh copy each is nearer to ours.
source(Sink, table, Count) -> send_counts(Sink, Count);
source(Sink, text, Count) -> send_texts(Sink, binary:copy(<<"x">>, 1024), Count).
send_counts(_, 0) -> ok;
send_counts(Sink, Count) -> Sink ! {tick, #{count => Count}}, send_counts(Sink, Count - 1).
send_texts(_, _, 0) -> ok;
send_texts(Sink, Text, Count) ->
    Sink ! {tick, #{text => binary:copy(Text)}},
    send_texts(Sink, Text, Count - 1).

idle(Count) ->
    receive
        {tick, #{count := More}} -> idle(Count + More);
        {get, From} -> From ! {got, Count}, idle(Count)
    end.

member(Boss) -> receive {link, Next} -> member(Boss, Next) end.
member(Boss, Next) ->
    receive
        {token, #{count := 0}} -> Boss ! done;
        {token, #{count := Count}} -> Next ! {token, #{count => Count - 1}}, member(Boss, Next)
    end.

talker(Boss, Count) -> receive {go, All} -> ping_any(All, Count), talker(Boss, All, Count) end.
talker(Boss, All, Left) ->
    receive
        {ping, From, #{count := Count}} -> From ! {pong, #{count => Count}}, talker(Boss, All, Left);
        {pong, #{count := _}} when Left > 1 -> ping_any(All, Left - 1), talker(Boss, All, Left - 1);
        {pong, #{count := _}} -> Boss ! done, talker(Boss, All, 0)
    end.
ping_any(All, Left) -> element(rand:uniform(tuple_size(All)), All) ! {ping, self(), #{count => Left}}.

creature(Mall, Color) -> Mall ! {meet, self(), #{color => Color}}, creature(Mall, Color, 0).
creature(Mall, Color, Met) ->
    receive
        {met, #{color := Other}} ->
            New = if Other =:= Color -> Color; true -> 3 - Color - Other end,
            Mall ! {meet, self(), #{color => New}},
            creature(Mall, New, Met + 1);
        closed -> Mall ! {count, #{met => Met}}
    end.
meetings(0) -> ok;
meetings(Left) ->
    receive {meet, First, #{color := FirstColor}} ->
        receive {meet, Second, #{color := SecondColor}} ->
            Second ! {met, #{color => FirstColor}},
            First ! {met, #{color => SecondColor}},
            meetings(Left - 1)
        end
    end.
count_met(0, Met) -> Met;
count_met(Size, Met) ->
    receive
        {meet, From, #{color := _}} -> From ! closed, count_met(Size, Met);
        {count, #{met := More}} -> count_met(Size - 1, Met + More)
    end.

fib(Parent, Number) when Number < 2 -> Parent ! {value, Number};
fib(Parent, Number) ->
    Self = self(),
    spawn(?MODULE, fib, [Self, Number - 1]),
    spawn(?MODULE, fib, [Self, Number - 2]),
    receive {value, One} -> receive {value, Other} -> Parent ! {value, One + Other} end end.
plain_fib(Number) when Number < 2 -> Number;
plain_fib(Number) -> plain_fib(Number - 1) + plain_fib(Number - 2).
fib_actors(Number) when Number < 2 -> 1;
fib_actors(Number) -> 1 + fib_actors(Number - 1) + fib_actors(Number - 2).

arm(0) -> ok;
arm(Left) ->
    Delay = 499 + rand:uniform(2001),
    erlang:send_after(Delay, self(), {fired, #{due => seconds() + Delay / 1000}}),
    arm(Left - 1).
fired(0, Late) -> Late;
fired(Left, Late) -> receive {fired, #{due := Due}} -> fired(Left - 1, [seconds() - Due | Late]) end.

resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.

%% A supervisor that never gives up, of workers that fail when told to.
init([]) ->
    {ok, {#{strategy => simple_one_for_one, intensity => 10000000, period => 1},
          [#{id => worker, start => {?MODULE, start_worker, []}}]}}.

start_worker(Boss) ->
    {ok, spawn_link(fun() -> Boss ! {ready, self()}, receive fail -> exit(again) end end)}.

restarts(0) -> ok;
restarts(Left) -> receive {ready, Pid} -> Pid ! fail, restarts(Left - 1) end.
