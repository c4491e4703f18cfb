/* Someone gave a wrong password for an admin's account. */
#ifndef AERIE_SRC_API_LOGIN_FAILED_H
#define AERIE_SRC_API_LOGIN_FAILED_H

#include "base/id.h"

/* A row of the audit trail, in a flow of its own: the answer does not wait for it, and so takes no
 * longer than that for an address without an account. address: copied. */
void login_failed_note(const struct id *team_id, const struct id *user_id, struct str address);

#endif
