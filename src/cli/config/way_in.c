#include "cli/config/way_in.h"

#include "cli/config/ssh_value.h"

err_t way_in_find(const struct reach *reach, const char *const *hops, size_t count,
                  struct way_in *out, struct fault *fault) {
    struct way_in way = {0};
    if (count > WAY_IN_HOPS_MAX) {
        return fault_set(fault, ERR_TOO_LONG, "jump", "at most %d hops", (int)WAY_IN_HOPS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const struct reach_host *jump = reach_find_jump(reach, hops[i]);
        if (jump != NULL) {
            way.own[way.own_count++] = jump;
        } else if (way.own_count > 0) {
            return fault_set(fault, ERR_NOT_FOUND, "jump",
                             "%s is no jump host of the site, and such hosts come first", hops[i]);
        } else if (failed(ssh_value_check_hop(hops[i]))) {
            return fault_set(fault, ERR_MALFORMED, "jump", "%s is not [user@]host[:port]", hops[i]);
        } else {
            way.front[way.front_count++] = hops[i];
        }
    }
    if (way.own_count == 0 && reach->jump_count > 0) {
        way.own[way.own_count++] = &reach->jumps[0];
    }
    *out = way;
    return OK;
}

const char *way_in_last(const struct way_in *way) {
    return way->own_count > 0     ? way->own[way->own_count - 1]->name
           : way->front_count > 0 ? way->front[way->front_count - 1]
                                  : NULL;
}
