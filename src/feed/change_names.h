/* The names of the wire, by the values of their enumerations; the first of each stands for none. */
#ifndef POSTERN_FEED_CHANGE_NAMES_H
#define POSTERN_FEED_CHANGE_NAMES_H

#include "feed/change.h"

enum change_page { CHANGE_PAGE_BEGINS = 1, CHANGE_PAGE_CONTINUES, CHANGE_PAGE_ENDS };

enum {
    CHANGE_PAGES_COUNT = CHANGE_PAGE_ENDS + 1,
    CHANGE_CA_USES_COUNT = CA_USE_HOST + 1,
    CHANGE_HOST_ROLES_COUNT = HOST_JOB + 1,
    CHANGE_NODE_ACCESSES_COUNT = NODE_ACCESS_OPEN + 1,
    CHANGE_CREDENTIALS_COUNT = (CREDENTIALS_CERTIFICATES | CREDENTIALS_KEYS) + 1,
    CHANGE_KEY_USES_COUNT = KEY_USE_INTERNAL + 1,
    CHANGE_JOB_TYPES_COUNT = JOB_CLUSTER + 1,
};

extern const char *const change_kind_names[CHANGE_KINDS_COUNT];
extern const char *const change_page_names[CHANGE_PAGES_COUNT];
extern const char *const change_ca_use_names[CHANGE_CA_USES_COUNT];
extern const char *const change_host_role_names[CHANGE_HOST_ROLES_COUNT];
extern const char *const change_node_access_names[CHANGE_NODE_ACCESSES_COUNT];
extern const char *const change_credentials_names[CHANGE_CREDENTIALS_COUNT];
extern const char *const change_key_use_names[CHANGE_KEY_USES_COUNT];
extern const char *const change_job_type_names[CHANGE_JOB_TYPES_COUNT];

#endif
