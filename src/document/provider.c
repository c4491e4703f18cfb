/* Who makes a team's embeddings. */
#include "provider.h"

#include "base/json.h"
#include "base/log.h"
#include "config/config.h"
#include "config/seal.h"
#include "upstream/upstream.h"

#define MAX_DEPTH 64

enum column { SETTINGS, KEYS };

/* One of the team's keys for whoever answers at the URL; "" : it has none. */
static struct str find_key(struct arena *a, struct str keys, struct str base_url)
{
    const char *wanted = provider_name(provider_of_url(base_url));
    yyjson_val *root = NULL, *id, *pair;
    size_t i, n;

    if (keys.len == 0 || is_error(json_read(a, keys, MAX_DEPTH, &root)))
        return STR("");
    yyjson_obj_foreach(root, i, n, id, pair)
    {
        struct str key;

        if (!yyjson_equals_str(yyjson_arr_get(pair, 0), wanted))
            continue;
        key = seal_open(a, SEAL_PROVIDER_KEY, json_text(id), json_text(yyjson_arr_get(pair, 1)));
        if (key.ptr)
            return key;
        log_warn("document: provider key %.*s was sealed under another secret; save it again",
                 STR_ARG(json_text(id)));
    }
    return STR("");
}

bool embeddings_provider(struct arena *a, const struct db_result *team,
                         struct embeddings_request *out)
{
    const struct config_embeddings *c = &config()->embeddings;
    yyjson_val *root = NULL, *own;
    struct str text;

    *out = (struct embeddings_request){.base_url = c->base_url,
                                       .api_key = c->api_key,
                                       .model = c->model,
                                       .dimensions = c->dimensions};
    if (team->n_rows == 0)
        return false;
    own = is_error(json_read(a, db_get_text(team, 0, SETTINGS), MAX_DEPTH, &root))
              ? NULL
              : json_member(root, "embeddings");
    text = json_text(json_member(own, "base_url"));
    if (text.len > 0) {
        out->base_url = text;
        out->api_key = find_key(a, db_get_text(team, 0, KEYS), text);
        out->dimensions = 0;
    }
    text = json_text(json_member(own, "model"));
    if (text.len > 0) {
        out->model = text;
        out->dimensions = 0;
    }
    if (yyjson_is_uint(json_member(own, "dimensions")))
        out->dimensions = yyjson_get_uint(json_member(own, "dimensions"));
    while (str_ends_with(out->base_url, STR("/")))
        out->base_url.len--;
    return out->base_url.len > 0;
}
