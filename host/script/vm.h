/*
 * vm.h -- one isolated lua_State: lazily opened libraries, memory limit, and
 * the means to suspend or end whatever runs in it.
 *
 * A vm knows Lua and nothing of actors or messages. At each moment it belongs
 * to the one thread that runs it; vm_interrupt() is called from a signal
 * handler on that very thread.
 *
 * How a handler is suspended. All Lua code runs in a *handler coroutine* that
 * vm_resume() resumes. Code of ours that must wait calls vm_wait(), which
 * yields; a script may have put coroutines of its own in between, so our own
 * coroutine.resume and wrap pass such a yield outward (vm->outward) until it
 * reaches vm_resume(), and go on inward when vm_resume() is called again. An
 * interrupt sets a hook on the coroutine that is active (vm->active, kept by
 * the resume wrapper); the hook yields the same way: VM_PREEMPTED.
 *
 * How a handler is ended. vm->dying says why; while it is set, our own pcall,
 * xpcall, coroutine.resume, wrap, close and load do not catch: the error
 * travels to vm_resume(). Whoever set the interrupt repeats it until
 * vm_resume() (and vm_recover()) has returned, because `__close` handlers run
 * on the way.
 */
#ifndef TROUPE_SCRIPT_VM_H
#define TROUPE_SCRIPT_VM_H

#include "script/arena.h"

#include <lua.h>
#include <signal.h>

enum vm_death {
    VM_ALIVE = 0,
    VM_SLOW,     /* ran longer than its slice, or its instruction budget on the stage */
    VM_MEMORY,   /* went beyond its memory limit */
    VM_EXIT,     /* the script asked to end: actor.exit(), os.exit() */
    VM_CUT,      /* its actor is to stop, and it waits again and again */
    VM_CANCELLED, /* whoever has asked for it waits no more */
    VM_STOPPED,  /* the host's patience with a shutdown is over */
};

enum vm_interrupt {
    VM_INTERRUPT_NONE = 0,
    VM_INTERRUPT_PREEMPT, /* yield where it stands, if it can */
    VM_INTERRUPT_REPORT,  /* call options->on_overdue from the hook, then go on */
    VM_INTERRUPT_SLOW,    /* end it: VM_SLOW */
    VM_INTERRUPT_CANCEL,  /* end it: VM_CANCELLED */
    VM_INTERRUPT_STOP,    /* end it: VM_STOPPED */
};

enum vm_result {
    VM_DONE,      /* returned: its results are all that is on the coroutine's stack */
    VM_WAITING,   /* code of ours waits: resume again when that wait is over */
    VM_PREEMPTED, /* interrupted: resume again with no arguments */
    VM_FAILED,    /* error object on top of the coroutine's stack; vm->dying says if it was ended */
};

struct vm;
struct coroutine_frame;

struct vm_library {
    const char   *name;  /* the global, opened when a script first reads it */
    lua_CFunction open;  /* leaves the value of the global on the stack */
};

struct vm_options {
    size_t memory_limit;                /* bytes; 0: none */
    const struct vm_library *libraries; /* besides Lua's own and before them; ends with {NULL, NULL}; or NULL */
    const struct vm_library *modules;   /* what require finds without a file; ends with {NULL, NULL}; or NULL */
    const char *const *package_path;    /* folders searched first by require, NULL-terminated, or NULL */
    /* Where require looks before that; NULL: nowhere. Pushes the chunk of the module and its path
     * (2), or a text that says where it was looked for (1). May raise. */
    int    (*find_module)(lua_State *L, const char *name);
    /* It was not there, but in another place. May raise. */
    void   (*found_elsewhere)(lua_State *L, const char *name);
    /* For the stage: same seed, same run. */
    bool     deterministic;             /* pairs visits string keys in sorted order */
    bool     sandbox;                   /* (anywhere:) no io, debug, files, programs, C modules; see sandbox.h */
    uint64_t seed;                      /* of math.random; 0: random */
    uint64_t instruction_budget;        /* VM instructions for one handler; 0: none */
    /* Called from a hook, on the thread that runs the vm, in safe Lua state. */
    void   (*on_overdue)(struct vm *vm, lua_State *active);
    /* print(): one line with its newline; NULL: written to stdout. Must not raise. */
    void   (*print)(struct vm *vm, const char *line, size_t size);
    /* The name of an actor for traces (a json_actor_text; its context is the vm), or NULL. */
    size_t (*actor_text)(void *vm, uint64_t actor, char *text, size_t room);
};

/* Aligned so that the low bits of its address are free: see vm_of(). */
struct vm {
    _Alignas(16) lua_State *L;            /* the main thread of the state; runs no handler */
    lua_State *volatile active;           /* the coroutine that runs now, or NULL */
    volatile sig_atomic_t interrupt;      /* enum vm_interrupt that the hook has to see to */
    volatile sig_atomic_t hooked;         /* an interrupt has set a hook that has not run yet */
    volatile sig_atomic_t dying;          /* enum vm_death */
    bool   outward;                       /* the yield under way goes out to vm_resume() */
    bool   preempted;                     /* and it is the hook's */
    bool   loading;                       /* the script's top level runs: globals may be defined, nothing waits */
    bool   generational;                  /* collects by generations; a state that stays small never does */
    bool   needs_close;                   /* a library with finalizers was opened: lua_close() before the drop */
    bool   keeps_dead;                    /* see trace.h */
    uint8_t globals_warned;               /* how many globals set in handlers were warned about */
    int    environment;                   /* registry reference of the script's environment table */
    lua_State *handler;                   /* the coroutine that vm_resume() runs, or NULL */
    int    stopped_line;                  /* where the hook has ended a handler: its frame says one instruction less */
    lua_State *raised_in;                 /* a coroutine in which the hook raised: see guard.h */
    struct coroutine_frame *frames;       /* the coroutines between `handler` and `active`, innermost first */
    const char *stack_base;               /* where the thread's C stack stood in vm_resume() */
    uint64_t instructions;                /* used of the budget */
    const struct vm_options *options;     /* borrowed; outlives the vm */
    struct arena arena;
};

/* The vm that a lua_State (or a coroutine of it) belongs to. The low bits of
 * the word that every lua_State carries for us are marks of the coroutine. */
#define VM_MARKS ((uintptr_t)15)
static inline struct vm *vm_of(lua_State *L)
{
    return (struct vm *)(*(uintptr_t *)lua_getextraspace(L) & ~VM_MARKS);
}

/* Makes the state: no library is opened yet; globals come to be when they are
 * read. 0 or -ENOMEM. `vm` must not move afterwards. */
int vm_open(struct vm *vm, const struct vm_options *options);

/* Frees all of it; runs lua_close() only if needs_close. */
void vm_close(struct vm *vm);

/* How many are open in this process: the stage looks for what was left behind. */
size_t vm_count(void);

/* A new handler coroutine, anchored in the registry: *reference. NULL: no memory. */
lua_State *vm_coroutine(struct vm *vm, int *reference);

/* Runs the function and `arguments` on top of the coroutine's stack, or goes
 * on with it (then with `arguments` values on top that its wait returns;
 * 0 after VM_PREEMPTED). A script's top level is run like a handler, with
 * vm->loading set. After VM_DONE the caller may read the results and leave
 * them: the next handler's start clears them away. */
enum vm_result vm_resume(struct vm *vm, lua_State *coroutine, int arguments);

/* After VM_FAILED and the report: closes the coroutine's pending variables
 * (their __close may run, still interruptible, `dying` still in force) and
 * makes it fit for the next handler; clears `dying`. Also ends a handler that
 * waits or is preempted.
 * False: this coroutine cannot be used again; let go of its reference and
 * take another from vm_coroutine(). So it is when the handler was stopped
 * inside a C call such as table.sort: its pending variables are not closed. */
bool vm_recover(struct vm *vm, lua_State *coroutine);

/* Async-signal-safe; only on the thread that runs the vm. */
void vm_interrupt(struct vm *vm, enum vm_interrupt what);

/* Suspends the running handler from a C function of ours, in whatever
 * coroutine; when vm_resume() is called again, `go_on` runs with `context`
 * (as of lua_yieldk). Does not return. Raises if a C call is in the way
 * ("ask cannot wait inside table.sort: ..."); `what` names our function. */
int vm_wait(lua_State *L, const char *what, lua_KFunction go_on, lua_KContext context);

/* Whether vm_wait() would work; if not, `why` names what is in the way. */
bool vm_can_wait(lua_State *L, const char *what, char *why, size_t room);

/* Ends the running handler: an error that no pcall catches. Does not return. */
int vm_die(lua_State *L, enum vm_death death);

/* For loops in C functions of ours that may run long: raises if an interrupt
 * asks for the handler's end, which a hook would only see after the loop. */
void vm_poll(lua_State *L);

/* Name of the C function that runs now ("string.find"), from a signal handler
 * on the vm's thread that found the vm deaf to its hook: best effort, reads
 * only; false if it is not in C. */
bool vm_name_c_function(struct vm *vm, char *name, size_t room);

#endif
