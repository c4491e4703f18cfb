/* Signing in: secrets come from stdin, a file, the environment, or the terminal without echo. */
#include "sign_in.h"

#include "account/token.h"
#include "base/clock.h"
#include "base/json.h"
#include "secret_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CALL_MS     30000
#define EMAIL_BYTES 330
#define JSON_DEPTH  16

static char words[512];

/* ---- tokens and keys ---- */

static struct error take_token(struct remote *c, FILE *in, const char *where)
{
    if (secret_input_line(in, c->token, sizeof(c->token) - 64) != SECRET_READ || !c->token[0] ||
        str_has_control(str_from(c->token)) || str_find(str_from(c->token), ' ') < strlen(c->token)) {
        snprintf(words, sizeof(words), "%s has no access token or API key in its first line", where);
        return ERROR(ERR_INVALID, 0, words);
    }
    return NO_ERROR;
}

static struct error read_key_file(struct remote *c, const char *path)
{
    FILE *in = fopen(path, "re");
    struct error err;
    struct stat st;

    if (!in) {
        snprintf(words, sizeof(words), "%s cannot be read: %s", path, errno_text(errno));
        return ERROR(ERR_INVALID, errno, words);
    }
    if (fstat(fileno(in), &st) == 0 && (st.st_mode & 077) != 0)
        fprintf(stderr, "aerie: %s can be read by others; chmod 600 it\n", path);
    err = take_token(c, in, path);
    fclose(in);
    return err;
}

static struct error read_environment(struct remote *c, const char *value)
{
    if (strlen(value) >= sizeof(c->token) - 64 || str_has_control(str_from(value)))
        return ERROR(ERR_INVALID, 0, "AERIE_TOKEN is no access token or API key");
    strcpy(c->token, value);
    return NO_ERROR;
}

/* ---- accounts ---- */

static bool take_tokens(struct remote *c, struct sign_in *s, struct str json)
{
    struct arena arena = {0};
    struct str access, refresh;
    yyjson_val *root = NULL;
    bool ok = !is_error(json_read(&arena, json, JSON_DEPTH, &root));

    access = json_text(ok ? json_member(root, "access_token") : NULL);
    refresh = json_text(ok ? json_member(root, "refresh_token") : NULL);
    ok = access.len > 0 && access.len < sizeof(c->token) - 64;
    if (ok) {
        memcpy(c->token, access.ptr, access.len);
        c->token[access.len] = 0;
        buf_clear(&s->refresh);
        buf_append_str(&s->refresh, refresh);
    }
    arena_free(&arena);
    return ok;
}

/* Posts JSON that holds a secret, and forgets it. */
static struct error post_secret(struct remote *c, struct sign_in *s, const char *path,
                                struct buf *json)
{
    struct remote_call call = {.method = "POST",
                               .path = path,
                               .body = buf_str(json),
                               .timeout_ms = CALL_MS,
                               .has_no_token = true};
    struct error err = NO_ERROR;
    struct buf told = {0};

    if (json->failed)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    remote_run(c, &call);
    explicit_bzero(json->data, json->len);
    if (call.code != CURLE_OK || call.status != 200) {
        remote_explain(c, &call, &told);
        snprintf(words, sizeof(words), "%.*s", STR_ARG(buf_str(&told)));
        err = ERROR(call.status == 401 || call.status == 403 ? ERR_UNAUTHORIZED
                                                             : ERR_PROVIDER_UNREACHABLE,
                    (int)call.status, words);
    } else if (!take_tokens(c, s, buf_str(&call.body_read))) {
        err = ERROR(ERR_PROVIDER_UNREACHABLE, 0, "what answers there is no Aerie");
    }
    buf_deinit(&told);
    remote_call_deinit(&call);
    return err;
}

static struct error log_in(struct remote *c, struct sign_in *s, const char *email, char *password)
{
    struct buf body = {0};
    struct json j = {.buf = &body};
    struct error err;

    if (!utf8_is_valid(str_from(email)) || !utf8_is_valid(str_from(password)))
        return ERROR(ERR_INVALID, 0, "the address and the password must be UTF-8");
    json_begin_object(&j);
    json_pair_str(&j, "email", str_from(email));
    json_pair_str(&j, "password", str_from(password));
    json_end_object(&j);
    err = post_secret(c, s, "/api/auth/login", &body);
    buf_deinit(&body);
    return err;
}

/* stdin may be the message: so a terminal of its own. */
static struct error ask_account(const struct credentials *from, char email[EMAIL_BYTES],
                                char password[PASSWORD_MAX_BYTES])
{
    static const char no_terminal[] =
        "no terminal to ask: use --key-file, --token-stdin, or --email with --password-stdin";
    FILE *terminal = fopen("/dev/tty", "re");
    struct error err = NO_ERROR;

    if (!terminal)
        return ERROR(ERR_INVALID, 0, no_terminal);
    if (!from->email) {
        fputs("E-mail address: ", stderr);
        if (secret_input_line(terminal, email, EMAIL_BYTES) != SECRET_READ || !email[0])
            err = ERROR(ERR_INVALID, 0, "no e-mail address was given");
    }
    if (!is_error(err))
        err = secret_input_ask(terminal, "Password: ", password);
    fclose(terminal);
    return err;
}

static struct error sign_in_account(struct remote *c, const struct credentials *from,
                                    struct sign_in *s)
{
    char email[EMAIL_BYTES] = "", password[PASSWORD_MAX_BYTES] = "";
    struct error err = NO_ERROR;

    if (from->email)
        snprintf(email, sizeof(email), "%s", from->email);
    if (!from->password_stdin)
        err = ask_account(from, email, password);
    else if (secret_input_line(stdin, password, sizeof(password)) != SECRET_READ)
        err = ERROR(ERR_INVALID, 0, "stdin has no password in its first line");
    if (!is_error(err))
        err = log_in(c, s, email, password);
    explicit_bzero(password, sizeof(password));
    return err;
}

struct error sign_in(struct remote *c, const struct credentials *from, struct sign_in *out)
{
    const char *environment = getenv("AERIE_TOKEN");
    struct error err;

    *out = (struct sign_in){.is_key = false};
    if (from->token_stdin)
        err = take_token(c, stdin, "stdin");
    else if (from->key_file)
        err = read_key_file(c, from->key_file);
    else if (!from->email && environment && environment[0])
        err = read_environment(c, environment);
    else
        err = sign_in_account(c, from, out);
    out->is_key = strncmp(c->token, "eck_", 4) == 0;
    return err;
}

bool sign_in_again(struct remote *c, struct sign_in *s)
{
    struct buf body = {0};
    struct json j = {.buf = &body};
    bool ok;

    if (s->refresh.len == 0)
        return false;
    json_begin_object(&j);
    json_pair_str(&j, "refresh_token", buf_str(&s->refresh));
    json_end_object(&j);
    ok = !is_error(post_secret(c, s, "/api/auth/refresh", &body));
    buf_deinit(&body);
    return ok;
}

void sign_in_deinit(struct sign_in *s)
{
    if (s->refresh.data)
        explicit_bzero(s->refresh.data, s->refresh.len);
    buf_deinit(&s->refresh);
}

/* ---- in an admin's name ---- */

bool sign_in_as_admin(struct remote *c, struct db *db, struct str team_id)
{
    struct caller who = {.is_admin = true, .family = id_v4()};
    struct str token = STR_NONE;
    struct arena arena = {0};
    struct db_result r;

    if (!is_error(db_run(db, &arena, SQL_USER_FIND_ADMIN, DB_ARGS(db_uuid(team_id)), &r)) &&
        r.n_rows > 0 && id_parse(team_id, &who.team_id) &&
        id_parse(db_get_text(&r, 0, 0), &who.user_id))
        token = token_issue(&arena, &who, clock_wall_us());
    c->token[0] = 0;
    if (token.ptr && token.len < sizeof(c->token)) {
        memcpy(c->token, token.ptr, token.len);
        c->token[token.len] = 0;
    }
    arena_free(&arena);
    return c->token[0] != 0;
}
