/* Intrusive doubly linked lists: the link is a member of the element, the head a link of its own.
 */
#ifndef AERIE_BASE_LIST_H
#define AERIE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next; /* both NULL: in no list */
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct list *link)
{
    return link->next != NULL;
}

/* Appends at the end. */
static inline void list_push(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a list that was begun is a ring
    head->prev->next = link;
    head->prev = link;
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_push(head->next, link);
}

/* The link may be in no list. */
static inline void list_remove(struct list *link)
{
    if (!link->next)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

/* Takes the first link off, or NULL. */
static inline struct list *list_pop(struct list *head)
{
    struct list *link = head->next;

    if (link == head)
        return NULL;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it forgets that the freed one before left */
    list_remove(link);
    return link;
}

/* Moves every element of from to the end of to. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
