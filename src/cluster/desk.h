/* Where the news come in; see cluster/news.h. */
#ifndef AERIE_CLUSTER_DESK_H
#define AERIE_CLUSTER_DESK_H

#include <stdbool.h>

/* First loop's thread. */
void desk_open(void);
/* on_closed: nothing of it runs any more, perhaps before this returns. */
void desk_close(void (*on_closed)(void));
/* Is it time to send ourselves a word by way of the database? Behind a transaction pooler a LISTEN goes well, and nothing ever
 * comes; a connection whose other end is gone without a word is no better. Once for each time. */
bool desk_wants_echo(void);

#endif
