/* aerie version */
#include "command.h"

#include <curl/curl.h>
#include <libpq-fe.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <uv.h>
#include <yyjson.h>

static void add_libraries(struct buf *out)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    const int pq = PQlibVersion();
    const uint32_t json = yyjson_version();

    buf_printf(out, "\nlibcurl %s (%s)", curl->version,
               curl->ssl_version ? curl->ssl_version : "without TLS");
    buf_printf(out, "\nlibpq %d.%d", pq / 10000, pq % 10000);
    buf_printf(out, "\nlibuv %s", uv_version_string());
    buf_printf(out, "\nllhttp %d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
               LLHTTP_VERSION_PATCH);
    buf_printf(out, "\nOpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
    buf_printf(out, "\nSQLite %s", sqlite3_libversion());
    buf_printf(out, "\nyyjson %u.%u.%u", json >> 16, json >> 8 & 0xff, json & 0xff);
}

int command_version(int argc, char **argv)
{
    bool is_verbose = false;
    const struct command_option options[] = {{"-v", NULL, &is_verbose}};
    struct buf line = {0};

    if (!command_read_options(argc, argv, 1, options, 1))
        return command_usage(argv[0]);
    buf_printf(&line, "aerie %s", AERIE_VERSION);
    if (is_verbose)
        add_libraries(&line);
    return command_print(&line);
}
