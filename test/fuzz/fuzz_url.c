/* URLs that an admin saves: one that passes has no inner literal address, whoever reads it. */
#include "config/config.h"
#include "upstream/egress.h"
#include "upstream/upstream.h"

#include <netdb.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config nothing_allowed;
    static bool is_open;
    struct str url = {(const char *)data, size};
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct egress_url parts;

    if (!is_open) {
        config_set(&nothing_allowed);
        if (is_error(egress_open()))
            abort();
        is_open = true;
    }
    if (is_error(egress_check_url(url)))
        return 0;
    if (is_error(egress_parse_url(url, &parts)) || str_has_control(str_from(parts.full)))
        abort();
    if (getaddrinfo(parts.host, NULL, &hints, &list) == 0) {
        if (!egress_allows(list->ai_addr, str_from(parts.host)))
            abort();
        freeaddrinfo(list);
    }
    egress_url_free(&parts);
    return 0;
}
