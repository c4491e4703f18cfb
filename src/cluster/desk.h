/* Where the news come in; see cluster/news.h. */
#ifndef AERIE_CLUSTER_DESK_H
#define AERIE_CLUSTER_DESK_H

/* First loop's thread. */
void desk_open(void);
void desk_close(void);

#endif
