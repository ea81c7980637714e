/* The names of the wire, by the values of their enumerations; the first of each stands for none. */
#ifndef POSTERN_FEED_CHANGE_NAMES_H
#define POSTERN_FEED_CHANGE_NAMES_H

#include "feed/change.h"

enum { CHANGE_CA_USES_COUNT = CA_USE_HOST + 1, CHANGE_HOST_ROLES_COUNT = HOST_COMPUTE + 1 };

extern const char *const change_kind_names[CHANGE_KINDS_COUNT];
extern const char *const change_ca_use_names[CHANGE_CA_USES_COUNT];
extern const char *const change_host_role_names[CHANGE_HOST_ROLES_COUNT];

#endif
