/* stub */
#include "command.h"
int command_doctor(int argc, char **argv)
{
    (void)argc;
    return command_usage(argv[0]);
}
