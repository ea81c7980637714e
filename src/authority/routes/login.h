/* The guard against guessing that all sign-in calls share. */
#ifndef POSTERN_AUTHORITY_LOGIN_H
#define POSTERN_AUTHORITY_LOGIN_H

#include "authority/call.h"
#include "authority/routes/passkey.h"
#include "base/secret.h"

/*
 * Loop thread, from read(): takes a token of the caller's address, or sets 429 too_many_requests.
 * What presents 256 random bits (API keys, invitations, enrolment tokens) cannot be guessed; its
 * bound only keeps a flood off the store. A success gives the token back, from finish().
 */
err_t login_guard_admit_token(struct call *call);
void login_guard_credit_token(struct call *call);

/* The doors at which passwords are tried. Each has bounds and a memory of its own, so that whoever
 * knocks at one without end locks nobody out at the other. */
enum login_door {
    DOOR_SIGN_IN, /* POST /auth/login */
    DOOR_WINDOW,  /* the enrolment window, at a gate */
    DOORS_COUNT,
};

/* What is known of who tries. */
struct candidate {
    struct account account; /* id 0: there is none of that name, or at DOOR_WINDOW none whose window
                               is open; its failures are counted all the same */
    struct login login;
    bool familiar;        /* somebody signed in by this name from there before */
    int64_t locked_until; /* for this name from there; 0: it is not */
};

/*
 * Failures are counted by name and source, so that whoever guesses locks out themselves: from the
 * 5th in a row on. A name as a whole is locked from the 100th on, and only for sources from which
 * nobody signed in by it before; so is what is tried by it in a given time. At DOOR_WINDOW, where a
 * password alone lets in, a name is locked for all sources from the 5th on. Passkeys, which nobody
 * guesses, know no lock.
 *
 * Store thread. False with a problem.
 */
bool login_find(struct call *call, enum login_door door, const struct inet_address *source,
                const char *name, struct candidate *out);
/* True with a problem and an audit row, when it is locked after failures in a row. */
bool login_refuse_locked(struct call *call, const struct candidate *candidate, const char *name);
void login_note_failure(struct call *call, enum login_door door, const struct inet_address *source,
                        const char *name, struct candidate *candidate);
/* Ends the count, gives the name's token back, and remembers the source. The candidate's login is
 * the caller's to keep. */
void login_note_success(struct call *call, enum login_door door, const struct inet_address *source,
                        const char *name, struct candidate *candidate);
/* Takes a token of the address, or sets 429 too_many_requests. DOOR_SIGN_IN is the loop's,
 * DOOR_WINDOW the store's. A success gives it back. */
err_t login_admit_source(struct call *call, enum login_door door,
                         const struct inet_address *source);
void login_credit_source(struct call *call, enum login_door door,
                         const struct inet_address *source);
/* The same for the name; store thread. */
err_t login_admit_name(struct call *call, enum login_door door, const struct inet_address *source,
                       const char *name);

/*
 * Store thread: uses up a one-time code, or a recovery code in its place, of somebody whom
 * something else than a password proved. False with a problem. Failures count as those of
 * DOOR_SIGN_IN, and lock the name.
 */
bool login_take_code(struct call *call, const char *name, const char *code, bool *by_recovery_code);
/* Store thread: says in the answer, which is there already, how many recovery codes are left. */
void login_tell_recovery_codes(struct call *call, entity_id account_id);

enum { LOGIN_NAME_CHARS_MAX = 255, LOGIN_CODE_CHARS_MAX = 32 };

/*
 * One try to sign in, for routes that do so: with password and code, or with a passkey. The first
 * member of what they keep in call_own(), whose release must call login_attempt_release().
 */
struct login_attempt {
    char name[LOGIN_NAME_CHARS_MAX + 1];
    char code[LOGIN_CODE_CHARS_MAX + 1];
    secret_t password;
    char hash[128];     /* that the password is compared with; "" for none */
    char rehashed[128]; /* the same password at the present cost; "" when it has that */
    bool password_right;
    /* Of pages (sign_in_form.h), which may answer by a passkey: */
    const char *asker;
    struct passkey_answer passkey;
    struct webauthn_challenge next; /* for the form that is shown if this fails */
    /* Store thread: writes the form once more, which then asks for a passkey as the second factor.
     * NULL: a code is required. */
    void (*ask_again)(struct call *call);
    char methods[SESSION_METHODS_CHARS]; /* how they proved who they are, once they have */
    bool by_recovery_code;
    /* Store thread, in the transaction that used the code up. */
    void (*succeed)(struct call *call, const struct account *account);
};
/* From read(): the members username, password and totp, or those of a passkey's answer. */
err_t login_attempt_read(struct call *call, struct login_attempt *attempt);
/* A route's run(), or called by it. */
void login_attempt_run(struct call *call);
/* From finish(), after a success. */
void login_attempt_credit(struct call *call);
void login_attempt_release(struct login_attempt *attempt);

/* How the person of this call proved who they are (RFC 8176), from succeed(). */
const char *login_attempt_methods(struct call *call);

/* What an address is known by to throttles: who has one IPv6 address has its /64. */
span_t login_guard_key(const struct inet_address *address);

#endif
