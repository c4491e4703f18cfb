/* aerie version */
#include "command.h"

int command_version(int argc, char **argv)
{
    struct buf line = {0};

    if (argc > 1)
        return command_usage(argv[0]);
    buf_printf(&line, "aerie %s", AERIE_VERSION);
    return command_print(&line);
}
