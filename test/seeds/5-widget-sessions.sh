# The examples of the back end of widget sessions: $api_key and $assistant_id are of an agent.
. "$(dirname "$0")/lib.sh"
post() { status "$1" "$base$2" -H 'Content-Type: application/json' -d "$3"; }

step 'Create a chat session'
session=$(post 200 /api/chat/session '{
    "api_key": "'"$api_key"'",
    "assistant_id": "'"$assistant_id"'"
  }' | shape '{"session_id": "<uuid>"}' | field session_id)

step 'Send a chat message'
post 200 /api/chat '{
    "api_key": "'"$api_key"'",
    "session_id": "'"$session"'",
    "type": "custom_code",
    "assistant_id": "'"$assistant_id"'",
    "messages": [
      {
        "role": "user",
        "content": "Hello, how are you?"
      }
    ]
  }' | shape '{"response": "<text>"}' >/dev/null

step 'What is wrong'
post 403 /api/chat/session '{"api_key": "c8bc40f2-e83d-4e92-ac2b-d5bd6444da0a", "assistant_id": "'"$assistant_id"'"}' |
    shape '{"detail": "Invalid API key or assistant ID"}' >/dev/null
post 404 /api/chat '{"api_key": "'"$api_key"'", "session_id": "e97f4988-4f70-470b-b2e5-aca28ddbcff0", "type": "custom_code",
  "assistant_id": "'"$assistant_id"'", "messages": [{"role": "user", "content": "Hello"}]}' | shape '{"detail": "Session not found"}' >/dev/null

step 'Create a widget session'
session=$(post 200 /api/chat/widget/session '{
    "chatbot_id": "'"$assistant_id"'"
  }' | shape '{"session_id": "<uuid>"}' | field session_id)

step 'Send a widget message'
post 200 /api/chat/widget '{
    "session_id": "'"$session"'",
    "message": "Hello, how are you?"
  }' | shape '{"response": "<text>"}' >/dev/null
