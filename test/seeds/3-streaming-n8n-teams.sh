# The examples of the n8n streaming back end. $webhook_url is a workflow that streams, $aerie the program; what the examples do with psql,
# its command line does.
. "$(dirname "$0")/lib.sh"

step 'Create a team'
team=$($aerie team create --name 'Test Team' --slug test-team)

step 'Register a user'
status 201 -X POST "$base/api/auth/register" \
    -H "Content-Type: application/json" \
    -d '{
    "email": "admin@test-team.com",
    "password": "SecurePass123",
    "full_name": "Admin User",
    "team_id": "'$team'"
  }' | shape '{"id": "<uuid>", "team_id": "'$team'", "email": "admin@test-team.com", "full_name": "Admin User", "role": "user", "is_active": true, "created_at": "<time>"}' >/dev/null

step 'Set the user to the admin role, and log in'
$aerie user role --team test-team --email admin@test-team.com --role admin >/dev/null
status 200 -X POST "$base/api/auth/login" \
    -H "Content-Type: application/json" \
    -c cookies.txt \
    -d '{
    "email": "admin@test-team.com",
    "password": "SecurePass123"
  }' | shape '{"message": "Login successful"}' >/dev/null
grep -q access_token cookies.txt && grep -q refresh_token cookies.txt || die 'no cookies'
grep -q '^#HttpOnly_' cookies.txt || die 'the cookies are not HttpOnly'

step 'Get current user'
status 200 "$base/api/auth/me" -b cookies.txt |
    shape '{"id": "<uuid>", "team_id": "'$team'", "email": "admin@test-team.com", "full_name": "Admin User", "role": "admin", "avatar": null, "preferences": {}, "is_active": true, "last_login_at": "<time>", "created_at": "<time>"}' >/dev/null

step 'Create an agent'
agent=$(status 201 -X POST "$base/api/agents" \
    -H "Content-Type: application/json" \
    -b cookies.txt \
    -d '{
    "name": "Test Agent",
    "description": "Test agent for development",
    "webhook_url": "'$webhook_url'",
    "system_prompt": "You are a helpful assistant.",
    "config": {"model": "gpt-4", "temperature": 0.7}
  }' | shape '{"id": "<uuid>", "created_by": "<uuid>", "name": "Test Agent", "webhook_url": "<text>", "config": {"model": "gpt-4", "temperature": 0.7}, "is_active": true, "avatar": null}' | field id)

step 'List agents'
status 200 "$base/api/agents?include_inactive=true" -b cookies.txt |
    shape '[{"id": "<uuid>", "team_id": "<uuid>", "created_by": "<any>", "name": "<text>", "description": "<any>", "webhook_url": "<any>", "webhook_token": "<any>", "system_prompt": "<any>", "avatar": null, "config": {}, "is_active": true, "created_at": "<time>", "updated_at": "<time>"}]' >/dev/null

step 'Create a chat'
chat=$(status 201 -X POST "$base/api/chats" \
    -H "Content-Type: application/json" \
    -b cookies.txt \
    -d '{
    "agent_id": "'$agent'",
    "title": "Test Chat",
    "metadata": {"tags": ["support"]}
  }' | shape '{"id": "<uuid>", "agent_id": "'$agent'", "title": "Test Chat", "messages": [], "is_archived": false}' | field id)

step 'Send a message and stream the response'
curl -sS -X POST "$base/api/chats/$chat/messages" \
    -H "Content-Type: application/json" \
    -H "Accept: text/event-stream" \
    -b cookies.txt \
    -N \
    -d '{
    "content": "Hello, how are you?"
  }' >stream.txt
grep -qF 'data: {"type":"status","data":{"description":"Sending request to n8n webhook...","level":"info","done":false}}' stream.txt || die "no status: $(cat stream.txt)"
grep -qF 'data: {"type":"message","data":{"content":' stream.txt || die 'no message'
grep -qF 'data: {"type":"done","data":{"message":"Stream completed"' stream.txt || die 'no done'

step 'List chats'
status 200 "$base/api/chats?include_archived=false&limit=50&offset=0" -b cookies.txt |
    shape '[{"id": "<uuid>", "team_id": "<uuid>", "user_id": "<uuid>", "agent_id": "<uuid>", "title": "Test Chat", "messages": [{"role": "<text>", "content": "<text>", "timestamp": "<time>"}], "metadata": {"tags": ["support"]}, "is_archived": false, "created_at": "<time>", "updated_at": "<time>"}]' >/dev/null

step 'Get, update and delete the chat'
status 200 "$base/api/chats/$chat" -b cookies.txt | shape '{"id": "'$chat'"}' >/dev/null
status 200 -X PUT "$base/api/chats/$chat" -H "Content-Type: application/json" -b cookies.txt \
    -d '{"title": "Updated Support Request", "is_archived": false}' | shape '{"title": "Updated Support Request"}' >/dev/null
status 204 -X DELETE "$base/api/chats/$chat" -b cookies.txt
status 404 "$base/api/chats/$chat" -b cookies.txt >/dev/null

step 'Upload an avatar'
printf 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==' | base64 -d >dot.png
status 200 -X POST "$base/api/agents/$agent/avatar" -b cookies.txt -F file=@dot.png | shape '{"avatar": "<text>"}' >/dev/null

step 'Update and delete the agent'
status 200 -X PUT "$base/api/agents/$agent" -H "Content-Type: application/json" -b cookies.txt \
    -d '{"name": "Support Bot Updated", "is_active": false}' | shape '{"name": "Support Bot Updated", "is_active": false}' >/dev/null
status 204 -X DELETE "$base/api/agents/$agent" -b cookies.txt
