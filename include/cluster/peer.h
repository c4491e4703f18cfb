/* How nodes know each other's calls: each is signed with the secret that they share. Any thread. */
#ifndef AERIE_CLUSTER_PEER_H
#define AERIE_CLUSTER_PEER_H

#include "base/str.h"

#define PEER_HEADER     "X-Aerie-Peer"
#define PEER_SIGN_BYTES 160

bool peer_open(void); /* main thread; false: no memory */
void peer_close(void);

/* The header's value for this call, now. target: path and query. */
void peer_sign(struct str method, struct str target, char out[PEER_SIGN_BYTES]);
/* Is it signed by a node, for this method and target, within PEER_SKEW_S of our clock, and was it
 * not here before? Says in the log what is wrong. */
#define PEER_SKEW_S 60
bool peer_check(struct str method, struct str target, struct str signature);

#endif
