#include "cli/connect/broken_link.h"

#include <string.h>

static const struct {
    const char *reason;
    bool final;
    enum exit_code exit;
} outcomes[] = {
    [SSH_UNKNOWN] = {"ssh ended without saying why", false, EXIT_NETWORK},
    [SSH_CONFIG] = {"ssh does not take its configuration", true, EXIT_INTERNAL},
    [SSH_MODES] = {"others may write a file of ssh's", true, EXIT_REFUSED},
    [SSH_KEY_CHANGED] = {"its host key is not the one that is known", true, EXIT_REFUSED},
    [SSH_HOST_UNKNOWN] = {"its host key is not known", true, EXIT_REFUSED},
    [SSH_HOST_CERTIFICATE] = {"its host certificate is no good", true, EXIT_REFUSED},
    [SSH_TOO_MANY] = {"too many keys were tried", true, EXIT_REFUSED},
    [SSH_GATE_SAID] = {"", true, EXIT_REFUSED},
    [SSH_NO_NAME] = {"there is no such name; is this machine on the network?", false, EXIT_NETWORK},
    [SSH_CONNECTION_REFUSED] = {"nothing listens there", false, EXIT_NETWORK},
    [SSH_NO_ANSWER] = {"it does not answer", false, EXIT_NETWORK},
    [SSH_NOT_SSH] = {"it does not answer as an SSH server", false, EXIT_NETWORK},
    [SSH_NOTHING_IN_COMMON] = {"it and this ssh have no algorithm in common", true, EXIT_REFUSED},
    [SSH_SIGNING] = {"the key cannot be used; is it in an agent that refuses?", true, EXIT_REFUSED},
    [SSH_DENIED] = {"it does not let you in", true, EXIT_REFUSED},
    [SSH_CHANNEL_PROHIBITED] = {"the former does not lead there", true, EXIT_REFUSED},
    [SSH_CHANNEL_FAILED] = {"the former cannot connect", false, EXIT_NETWORK},
    [SSH_CLOSED] = {"the connection was closed", false, EXIT_NETWORK},
};

const char *broken_link_reason(const struct ssh_verdict *verdict) {
    return verdict->outcome == SSH_GATE_SAID ? verdict->said : outcomes[verdict->outcome].reason;
}

/* "nid001234:22 refused the connection": what a gate says of a host that is down for a while. */
static bool is_down(const struct ssh_verdict *verdict) {
    static const char *const how[] = {" refused the connection", " did not answer",
                                      " cannot be reached"};
    bool down = false;
    for (size_t i = 0; i < COUNT_OF(how); i++) {
        down = down || strstr(verdict->said, how[i]) != NULL;
    }
    return verdict->outcome == SSH_GATE_SAID && down;
}

bool broken_link_is_final(const struct ssh_verdict *verdict) {
    return outcomes[verdict->outcome].final && !is_down(verdict);
}

/* A hop says what is wrong with who comes; what is beyond it is about jobs. */
static const char *first_step(const struct ssh_verdict *verdict) {
    switch (verdict->outcome) {
    case SSH_CHANNEL_PROHIBITED:
        return "postern jobs\n";
    case SSH_GATE_SAID:
        return is_down(verdict) ? "" : verdict->logins > 0 ? "postern jobs\n" : "postern sign\n";
    case SSH_DENIED:
    case SSH_SIGNING:
        return "postern sign\n";
    default:
        return "";
    }
}

err_t broken_link_tell(struct trouble *trouble, const struct way *way,
                       const struct ssh_verdict *verdict) {
    INVARIANT(way->count > 0 && way->count <= WAY_HOPS_MAX);
    size_t broken = verdict->logins < way->count ? verdict->logins : way->count - 1;
    const char *from = broken == 0 ? "here" : way->hops[broken - 1];
    const char *to = way->hops[broken];
    trouble_next(trouble, "%spostern doctor %s", first_step(verdict),
                 broken == 0 ? to : way->hops[way->count - 1]);
    bool as_whom = verdict->outcome == SSH_DENIED && way->user != NULL;
    enum exit_code exit = is_down(verdict) ? EXIT_NETWORK : outcomes[verdict->outcome].exit;
    return trouble_set(trouble, exit, "the link from %s to %s is broken: %s%s%s", from, to,
                       broken_link_reason(verdict), as_whom ? " as " : "",
                       as_whom ? way->user : "");
}
