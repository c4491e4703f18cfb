/* Where the server of the settings is found from its own machine. */
#include "config/here.h"

#include "base/endpoint.h"
#include "config/config.h"

#include <string.h>

/* Who listens everywhere is found at the loopback. */
static void append_url(struct buf *out, const char *scheme, struct endpoint at)
{
    static const struct ip anywhere;
    char text[ENDPOINT_TEXT_BYTES];

    if (memcmp(at.ip.bytes, anywhere.bytes, sizeof(anywhere.bytes)) == 0) {
        if (at.ip.is_v4)
            memcpy(at.ip.bytes, (unsigned char[]){127, 0, 0, 1}, 4);
        else
            at.ip.bytes[15] = 1;
    }
    buf_append_str(out, str_from(scheme));
    buf_append_str(out, endpoint_format(&at, text));
}

void config_url_here(struct buf *out)
{
    const struct config_server *server = &config()->server;
    struct endpoint at = {.is_unix = false, .port = (uint16_t)server->port};
    struct str host = server->host;

    for (size_t i = 0; i < server->listen.n; i++) {
        struct str text = server->listen.items[i];
        bool is_tls = str_starts_with_nocase(text, STR("tls://"));
        struct endpoint place;

        if (endpoint_parse(str_skip(text, is_tls ? 6 : 0), &place) && !place.is_unix) {
            append_url(out, is_tls ? "https://" : "http://", place);
            return;
        }
    }
    if (!ip_parse(host, &at.ip))
        at.ip = (struct ip){.is_v4 = true}; /* "*", localhost */
    append_url(out, "http://", at);
}
