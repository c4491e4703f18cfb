/* Which chat has a turn, and where: the one table that all loops share. Sharded, each shard under a
 * mutex. Beside the turns of this node it has the mirrors of those that run on others: a chat may
 * have one of each, as a mirror says nothing about who may claim. */
#ifndef AERIE_CHAT_HUB_H
#define AERIE_CHAT_HUB_H

#include "chat/turn_log.h"

bool hub_open(void); /* main thread; false: no memory */
void hub_close(void);

/* Claims the chat for this log's turn, before any work, or for this mirror. NULL: claimed; the hub
 * holds a reference. Otherwise the log of the turn that runs there, counted for the caller. A turn
 * that has ended gives way. */
struct turn_log *hub_claim(struct turn_log *log);
/* The log of the turn that runs or ended lately in the owner's chat, counted; NULL: none. */
struct turn_log *hub_find(const struct id *chat_id, const struct id *owner_id);
/* Forgets this log if it is still the one of its chat. */
void hub_remove(struct turn_log *log);
/* Forgets up to max logs of the owner's chats, and hands them over, counted; as many as there were.
 */
size_t hub_remove_owner(const struct id *owner_id, struct turn_log **out, size_t max);
/* Is a turn running that writes this very reply? */
bool hub_is_running(const struct id *chat_id, const struct id *owner_id, struct str reply_id);

#endif
