-- users: a store of users, with the four things that one does with records, and a list.
--
--   troupe run examples/users.lua           tries it out, and prints what is marked below
--
--   CreateUser  { name = string, email = string? }    replies User, with a new id
--   GetUser     { id = integer }                      replies User { id, name, email }
--   UpdateUser  { id = integer, name = string?, email = string? }   changes what is given;
--                                                     replies User, as it is now
--   DeleteUser  { id = integer }                      replies Deleted { id = integer }
--   ListUsers   {}                                    replies Users { users = {User, ...} }, by id
--
-- An id that nobody has fails the question: "there is no user 7". A message that does not
-- fit its declaration is refused before a handler sees it, and says which field is wrong.
-- There are no locks: one actor has the users, and handles one message at a time.
--
-- As a service, in two terminals:
--
--   $ troupe run examples/users.lua --bind :5001 -- serve
--   users    listening on tcp://127.0.0.1:5001
--
--   $ troupe ask users@:5001 CreateUser name=alice email=alice@example.org
--   User {"email": "alice@example.org", "id": 1, "name": "alice"}
--   $ troupe ask users@:5001 UpdateUser id:=1 name=Alice
--   User {"email": "alice@example.org", "id": 1, "name": "Alice"}
--   $ troupe ask users@:5001 GetUser id:=7
--   troupe: there is no user 7
--   $ troupe ask users@:5001 GetUser id=seven
--   troupe: Bad field 'id' in GetUser: integer expected, not string
--   $ troupe ask users@:5001 DeleteUser id:=1
--   Deleted {"id": 1}
--   $ troupe ask users@:5001 ListUsers
--   Users {"users": []}
--
-- expect: created 1: alice <alice@example.org>
-- expect: created 2: bob
-- expect: got 1: alice <alice@example.org>
-- expect: updated 2: Robert <bob@example.org>
-- expect: deleted 1
-- expect: not there: there is no user 1
-- expect: not there: there is no user 7
-- expect: refused: CreateUser.name: missing, string expected
-- expect: all: 2: Robert <bob@example.org>
local Users = {}

local CreateUser = actor.message("CreateUser", { { "name", "string" }, { "email", "string?" } })
local GetUser = actor.message("GetUser", { id = "integer" })
local UpdateUser = actor.message("UpdateUser", { { "id", "integer" }, { "name", "string?" }, { "email", "string?" } })
local DeleteUser = actor.message("DeleteUser", { id = "integer" })

-------------------------------------------------------------- the store ----

-- The user of that id. If there is none, the question has failed.
local function find(self, id, env)
  local user = self.users[id]
  if not user then env:fail(("there is no user %d"):format(id)) end
  return user
end

function Users:on_createuser(msg, env)
  self.last_id = self.last_id + 1
  local user = { id = self.last_id, name = msg.name, email = msg.email }
  self.users[user.id] = user
  env:reply("User", user)
end

function Users:on_getuser(msg, env)
  local user = find(self, msg.id, env)
  if user then env:reply("User", user) end
end

function Users:on_updateuser(msg, env)
  local user = find(self, msg.id, env)
  if not user then return end
  user.name = msg.name or user.name
  user.email = msg.email or user.email
  env:reply("User", user)
end

function Users:on_deleteuser(msg, env)
  if not find(self, msg.id, env) then return end
  self.users[msg.id] = nil
  env:reply("Deleted", { id = msg.id })
end

function Users:on_listusers(_, env)
  local users = json.array {}
  for _, user in pairs(self.users) do
    table.insert(users, user)
  end
  table.sort(users, function(a, b) return a.id < b.id end)
  env:reply("Users", { users = users })
end

----------------------------------------------------- somebody who uses it ----

local function written(user)
  return ("%d: %s"):format(user.id, user.name) .. (user.email and (" <%s>"):format(user.email) or "")
end

local function try_out(users)
  print("created " .. written(assert(users:ask(CreateUser { name = "alice", email = "alice@example.org" }))))
  print("created " .. written(assert(users:ask(CreateUser { name = "bob" }))))
  print("got " .. written(assert(users:ask(GetUser { id = 1 }))))
  print("updated " .. written(assert(users:ask(UpdateUser { id = 2, name = "Robert", email = "bob@example.org" }))))
  print("deleted " .. assert(users:ask(DeleteUser { id = 1 })).id)

  for _, question in ipairs { GetUser { id = 1 }, DeleteUser { id = 7 } } do
    local _, why = users:ask(question)
    print("not there: " .. tostring(why):match("there is no user %d+"))
  end
  local _, error_text = pcall(users.ask, users, "CreateUser", { email = "x@example.org" })
  print("refused: " .. tostring(error_text))

  for _, user in ipairs(assert(users:ask("ListUsers")).users) do
    print("all: " .. written(user))
  end
end

function Users:on_start()
  self.users, self.last_id = {}, 0
  if self.config.store or actor.args[1] == "serve" then return end
  try_out(assert(actor.spawn("users", { config = { store = true } })))
  actor.stop_host()
end

return Users
