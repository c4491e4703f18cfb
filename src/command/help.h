/* What `aerie --help` and docs/command-line.md say, made from the table of commands. */
#ifndef AERIE_SRC_COMMAND_HELP_H
#define AERIE_SRC_COMMAND_HELP_H

#include "command.h"

/* The options that stand before the command. */
extern const struct command_words help_global_options[];
/* On stdout; an enum command_exit. */
int help_print_all(void);
int help_print(const struct command *c);
int help_print_markdown(void);

#endif
