/* Who makes a team's embeddings. */
#include "provider.h"

#include "base/json.h"
#include "config/config.h"

#define MAX_DEPTH 64

bool embeddings_provider(struct arena *a, struct str settings, struct embeddings_request *out)
{
    const struct config_embeddings *c = &config()->embeddings;
    yyjson_val *root = NULL, *own;
    struct str text;

    *out = (struct embeddings_request){.base_url = c->base_url,
                                       .api_key = c->api_key,
                                       .model = c->model,
                                       .dimensions = c->dimensions};
    own =
        is_error(json_read(a, settings, MAX_DEPTH, &root)) ? NULL : json_member(root, "embeddings");
    text = json_text(json_member(own, "base_url"));
    if (text.len > 0) {
        out->base_url = text;
        out->api_key = STR("");
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
