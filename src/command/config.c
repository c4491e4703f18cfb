/* aerie config: what is in force. */
#include "config/config.h"
#include "command.h"

int command_config(int argc, char **argv)
{
    bool as_json = false, as_markdown = false;
    const struct command_option options[] = {{"--json", NULL, &as_json},
                                             {"--markdown", NULL, &as_markdown}};
    struct buf text = {0};

    if (!command_read_options(argc, argv, 1, options, 2) || (as_json && as_markdown))
        return command_usage(argv[0]);
    if (as_markdown)
        config_print_markdown(&text);
    else
        config_print(config(), as_json, &text);
    /* command_print() ends the line itself. */
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.len--;
    return command_print(&text);
}
