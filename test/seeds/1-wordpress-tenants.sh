# The examples of "Eagle Chat Server". $site_url is a WordPress site that knows $callback_token.
. "$(dirname "$0")/lib.sh"

step 'Health check'
curl -sS "$base/" | shape '{"status": "healthy", "service": "<text>", "version": "<text>"}' >/dev/null

step 'Register a new tenant'
body='{
    "site_url": "'$site_url'",
    "admin_email": "admin@test-site.com",
    "callback_token": "'$callback_token'"
  }'
tenant=$(status 200 -X POST "$base/api/v1/register" -H "Content-Type: application/json" -d "$body" |
    shape '{"success": true, "tenant_id": "<uuid>", "api_key": "<text>", "message": "Tenant registered successfully"}')
tenant_id=$(field tenant_id <<<"$tenant")
api_key=$(field api_key <<<"$tenant")
[[ $api_key =~ ^eck_[A-Za-z0-9_-]{44,}$ ]] || die "no API key: $api_key"

step 'Validate tenant'
status 200 -X POST "$base/api/v1/validate" -H "Content-Type: application/json" \
    -d '{
    "tenant_id": "'$tenant_id'",
    "api_key": "'$api_key'"
  }' | shape '{"valid": true, "message": "Credentials are valid"}' >/dev/null

step 'Duplicate site URL'
status 400 -X POST "$base/api/v1/register" -H "Content-Type: application/json" -d "$body" |
    shape '{"detail": "Site URL already registered"}' >/dev/null

step 'Duplicate email'
status 400 -X POST "$base/api/v1/register" -H "Content-Type: application/json" -d "${body/"$site_url"/"$other_site_url"}" |
    shape '{"detail": "Admin email already associated with another tenant"}' >/dev/null

step 'Invalid email format'
status 422 -X POST "$base/api/v1/register" -H "Content-Type: application/json" \
    -d '{"site_url": "https://test-site.com", "admin_email": "nobody", "callback_token": "test_callback_token_1234567890"}' |
    shape '{"detail": "<text>", "errors": [{"field": "admin_email", "message": "<text>"}]}' >/dev/null

step 'Invalid URL format'
status 422 -X POST "$base/api/v1/register" -H "Content-Type: application/json" \
    -d '{"site_url": "test-site", "admin_email": "a@test-site.com", "callback_token": "test_callback_token_1234567890"}' |
    shape '{"errors": [{"field": "site_url"}]}' >/dev/null

step 'Invalid callback token'
status 422 -X POST "$base/api/v1/register" -H "Content-Type: application/json" \
    -d '{"site_url": "https://test-site.com", "admin_email": "a@test-site.com", "callback_token": "short"}' |
    shape '{"errors": [{"field": "callback_token"}]}' >/dev/null
status 422 -X POST "$base/api/v1/register" -H "Content-Type: application/json" \
    -d '{"site_url": "https://test-site.com", "admin_email": "a@test-site.com"}' |
    shape '{"errors": [{"field": "callback_token"}]}' >/dev/null

step 'WordPress callback failure'
status 400 -X POST "$base/api/v1/register" -H "Content-Type: application/json" \
    -d '{"site_url": "'$other_site_url'", "admin_email": "other@test-site.com", "callback_token": "test_callback_token_1234567890"}' |
    shape '{"detail": "Failed to verify callback token with WordPress site"}' >/dev/null

step 'Invalid credentials'
status 401 -X POST "$base/api/v1/validate" -H "Content-Type: application/json" \
    -d '{
    "tenant_id": "your-tenant-id",
    "api_key": "your-api-key"
  }' | shape '{"detail": "<text>"}' >/dev/null
