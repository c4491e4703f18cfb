# The examples of the back end of chatbots and keys. Unlike there, what shows a team needs an admin's token here: $admin.
. "$(dirname "$0")/lib.sh"
show() { status 200 "$base$1" -H "Authorization: Bearer $admin"; }

step 'Test health endpoint'
status 200 "$base/health" | shape '{"status": "healthy"}' >/dev/null

step 'Check database status'
show /db-status | shape '{"status": "connected", "database": "<text>", "counts": {"users": "<number>", "chatbots": "<number>", "api_keys": "<number>"}}' >/dev/null
status 401 "$base/db-status" | shape '{"detail": "<text>"}' >/dev/null

step 'Get all users'
user=$(show /users | field id)
show "/users/$user" | shape '{"id": "'"$user"'", "email": "<text>", "created_at": "<time>"}' >/dev/null

step 'Get all chatbots'
chatbot=$(show /chatbots | field id)
show "/chatbots/$chatbot" | shape '{"id": "'"$chatbot"'", "name": "<text>", "owner_id": "<any>", "llm_endpoint_url": "<any>", "created_at": "<time>"}' >/dev/null

step 'A user'"'"'s chatbots, and the API keys of one'
show "/users/$user/chatbots" >/dev/null
show "/chatbots/$chatbot/api-keys" >/dev/null
