# The examples of the chat back end with providers. Its Python example is run as it stands, with the address changed.
. "$(dirname "$0")/lib.sh"

step 'Register'
status 201 -X POST "$base/api/auth/register" \
  -H "Content-Type: application/json" \
  -d '{"email":"user@example.com","password":"SuperSecret123!"}' |
    shape '{"id": "<any>", "email": "user@example.com", "created_at": "<time>"}' >/dev/null

step 'Register: what is wrong'
status 422 -X POST "$base/api/auth/register" -H "Content-Type: application/json" \
  -d '{"email":"user@","password":"short"}' | shape '{"detail": "<text>"}' >/dev/null

step 'Login'
token=$(status 200 -X POST "$base/api/auth/login" \
  -H "Content-Type: application/x-www-form-urlencoded" \
  -d "username=user@example.com&password=SuperSecret123!" |
    shape '{"access_token": "<text>", "token_type": "bearer", "expires_in": 1800}' | field access_token)
status 401 -X POST "$base/api/auth/login" \
  -H "Content-Type: application/x-www-form-urlencoded" \
  -d "username=user@example.com&password=SuperSecret124!" | shape '{"detail": "<text>"}' >/dev/null

step 'Single-turn chat'
reply=$(status 200 -X POST "$base/api/chat" \
   -H "Content-Type: application/json" \
   -H "Authorization: Bearer $token" \
   -d '{"message":"Hello, how are you?","session_id":null}' |
    shape '{"message_id": "<uuid>", "reply": "<text>", "model": "<any>", "usage": {"tokens": "<number>"}, "created_at": "<time>"}')
session=$(printf '%s' "$reply" | field session_id)

step 'Multi-turn chat'
again=$(status 200 -X POST "$base/api/chat" \
   -H "Content-Type: application/json" \
   -H "Authorization: Bearer $token" \
   -d '{"message":"And what did I ask first?","session_id":"'$session'"}' |
    shape '{"message_id": "<uuid>", "session_id": "'$session'", "reply": "<text>"}' | field message_id)
[ "$again" != "$(printf '%s' "$reply" | field message_id)" ] || die 'one reply to two messages'

step 'Streaming responses: SSE'
curl -N -sS -H "Accept: text/event-stream" \
   -H "Authorization: Bearer $token" \
   -X POST "$base/api/chat/stream" \
   -H "Content-Type: application/json" \
   -d '{"message":"Stream me a poem about autumn","session_id":null}' >stream.txt
grep -q '^data: {"type":"status".*"session_id":"' stream.txt || die 'the stream does not say its session'
grep -q '^data: {"type":"message","data":{"content":"' stream.txt || die 'the stream has no text'
grep -q '^data: {"type":"done"' stream.txt || die 'the stream has no end'

step 'Conversation history'
status 200 -X GET "$base/api/history?page=1&per_page=20" \
   -H "Authorization: Bearer $token" |
    shape '{"items": [{"session_id": "<uuid>", "last_message": "<text>", "updated_at": "<time>"}], "page": 1, "per_page": 20, "total": 2}' >/dev/null

step 'Get current authenticated user'
status 200 -X GET "$base/api/users/me" \
   -H "Authorization: Bearer $token" |
    shape '{"id": "<any>", "email": "user@example.com", "is_active": true}' >/dev/null
status 401 -X GET "$base/api/users/me" | shape '{"detail": "<text>"}' >/dev/null

step 'Minimal Python example'
cat >example.py <<'END'
import requests

BASE = 'http://127.0.0.1:8000'

def register(email, password):
      r = requests.post(f'{BASE}/api/auth/register', json={'email': email, 'password': password})
      r.raise_for_status()
      return r.json()

def login(email, password):
      r = requests.post(f'{BASE}/api/auth/login', json={'email': email, 'password': password})
      r.raise_for_status()
      return r.json()['access_token']

def chat(token, message, session_id=None):
      headers = {'Authorization': f'Bearer {token}'}
      r = requests.post(f'{BASE}/api/chat', json={'message': message, 'session_id': session_id}, headers=headers)
      r.raise_for_status()
      return r.json()

if __name__ == '__main__':
      email = 'user@example.com'
      password = 'SuperSecret123!'
      register(email, password)
      token = login(email, password)
      resp = chat(token, 'Hello, how are you?')
      print(resp)
END
sed -i -e "s|http://127.0.0.1:8000|$base|" -e 's|user@example.com|python@example.com|' example.py
python3 example.py | grep -q "'reply': '..*'" || die 'the Python example prints no reply'
