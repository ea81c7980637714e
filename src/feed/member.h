/*
 * The members of an answer's objects, each held to its type, its limit and the model's rules. What
 * is refused sets a fault that says where in the answer it stands ("changes[3].state.address"), and
 * gives ERR_NOT_FOUND, ERR_MALFORMED, ERR_TOO_LONG, ERR_RANGE or ERR_UNSUPPORTED, or what the
 * parser of such a text says. Texts borrow from the object. A member that is not `required` may be
 * absent.
 */
#ifndef POSTERN_FEED_MEMBER_H
#define POSTERN_FEED_MEMBER_H

#include <jansson.h>

#include "feed/change.h"
#include "ssh/key.h"

/* Where in the answer we are: an index below 0 is the answer itself. */
struct member_place {
    ssize_t index;
    bool in_state;
    struct fault *fault;
};

err_t member_refuse(const struct member_place *at, enum err_code code, const char *member,
                    const char *reason);

/* One of the given type; JSON_TRUE stands for both truths. */
err_t member_get(const struct member_place *at, const json_t *object, const char *name,
                 json_type type, json_t **out);
err_t member_text(const struct member_place *at, const json_t *object, const char *name, size_t max,
                  const char **out);
/* A decimal number in a text. */
err_t member_u64(const struct member_place *at, const json_t *object, const char *name,
                 uint64_t *out);
/* RFC 3339, after 1970; absent is 0. */
err_t member_time(const struct member_place *at, const json_t *object, const char *name,
                  bool required, int64_t *out);
/* "port"; absent is 0. */
err_t member_port(const struct member_place *at, const json_t *object, bool required,
                  uint16_t *out);
/* One of the names of a table (change_names.h), as its index; absent is `otherwise`, or an error
 * where that is 0. */
err_t member_choice(const struct member_place *at, const json_t *object, const char *name,
                    const char *const *names, size_t count, size_t otherwise, size_t *out);
/* "address": a host's name or address, or ""; absent is "". */
err_t member_address(const struct member_place *at, const json_t *state, bool required,
                     const char **out);
/* "publicKey": a line that is exactly type and blob, so that nothing rides along into the files
 * that are made of it. *key, which may be NULL, is the caller's to free. */
err_t member_key_line(const struct member_place *at, const json_t *state, const char **out,
                      struct key **key);
/* An array of texts; out->items is the caller's to free. Absent is empty. */
err_t member_list(const struct member_place *at, const json_t *state, const char *name,
                  bool required, size_t count_max, err_t (*check)(span_t text, struct fault *fault),
                  struct change_list *out);

/* A name that was read is held to the model's rule; "" is allowed where `optional`. */
err_t member_check(const struct member_place *at, const char *member, const char *name,
                   bool optional, err_t (*check)(span_t name, struct fault *fault));
err_t member_check_host_name(span_t name, struct fault *fault);

/* The index of a name in a table whose first entry stands for none; 0 when it is not there. */
size_t member_index(const char *const *names, size_t count, const char *name);

#endif
