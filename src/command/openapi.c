/* aerie openapi: what GET /openapi.json answers, for tools that want a file. */
#include "api/openapi.h"

#include "command.h"
#include "config/here.h"

int command_openapi(int argc, char **argv)
{
    struct buf text = {0}, url = {0};

    if (!command_read_options(argc, argv, 1, NULL, 0))
        return command_usage(argv[0]);
    config_url_here(&url);
    if (url.failed)
        text.failed = true;
    else
        openapi_write(&text, buf_str(&url));
    buf_deinit(&url);
    return command_print(&text);
}
