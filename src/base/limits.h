/*
 * Every bound in one place. Each limit has a test that meets it and one that exceeds it.
 *
 * Units stand at the end of the name: _bytes, _chars, _s (seconds), _count.
 */
#ifndef POSTERN_BASE_LIMITS_H
#define POSTERN_BASE_LIMITS_H

enum limits {
    /* SSH objects */
    LIMIT_WIRE_STRING_BYTES = 256 * 1024, /* any RFC 4251 string we read */
    LIMIT_KEY_BLOB_BYTES = 8 * 1024,      /* an RSA-16384 public key needs 2.1 KiB */
    LIMIT_KEY_LINE_CHARS = 16 * 1024,     /* one line of a public key file, comment included */
    LIMIT_KEY_COMMENT_CHARS = 1024,
    LIMIT_KEY_FILE_BYTES = 64 * 1024,          /* a private key file */
    LIMIT_KDF_ROUNDS = 4096,                   /* bcrypt rounds we are willing to run */
    LIMIT_PBKDF2_ITERATIONS = 4 * 1000 * 1000, /* the same for PKCS#8 */
    LIMIT_PASSPHRASE_CHARS_MIN = 10,           /* of one that is chosen here */
    LIMIT_PEM_PASSPHRASE_BYTES = 1023,         /* that OpenSSL reads back from a terminal */
    LIMIT_ARGON2_MEMORY_KIB = 1024 * 1024,     /* the same for .ppk: */
    LIMIT_ARGON2_WORK_KIB = 16 * 1024 * 1024,  /* memory filled, all passes together */
    LIMIT_RSA_BITS_MIN = 2048, /* what can be represented; policy may ask for more */
    LIMIT_RSA_BITS_MAX = 16384,
    LIMIT_CERT_BLOB_BYTES = 32 * 1024,
    LIMIT_CERT_LINE_CHARS = 48 * 1024, /* one line of a certificate file, comment included */
    LIMIT_PRINCIPALS_COUNT = 256,      /* as OpenSSH's SSHKEY_CERT_MAX_PRINCIPALS */
    LIMIT_PRINCIPAL_CHARS = 255,
    LIMIT_KEY_ID_CHARS = 1024,
    LIMIT_CERT_OPTIONS_COUNT = 64,
    LIMIT_OPTION_NAME_CHARS = 128,
    LIMIT_FORCE_COMMAND_CHARS = 4096,
    LIMIT_SUBNETS_COUNT = 32,
    LIMIT_CERT_MEMO_COUNT = 4096, /* certificates whose signature need not be verified again */
    LIMIT_CERTIFIED_COUNT = 4096, /* keys that a gate knows to come with certificates */
    LIMIT_KRL_BYTES = 64 * 1024 * 1024,
    LIMIT_KRL_ENTRIES_COUNT = 4 * 1024 * 1024,
    LIMIT_KRL_CAS_COUNT = 1024,
    LIMIT_KRL_COMMENT_CHARS = 1024,
    LIMIT_KRL_BITMAP_BITS = 16 * 1024, /* of one that we write: sshd refuses files with a longer
                                          one, although ssh-keygen writes them */
    LIMIT_KRL_PRUNE_SERIALS_COUNT = 4 * 1024 * 1024, /* a longer range is kept without asking */
    LIMIT_AGENT_MESSAGE_BYTES = 256 * 1024,          /* as ssh-agent's */
    LIMIT_AGENT_KEYS_COUNT = 2048,
    LIMIT_SIGNER_ANSWER_S = 10, /* until the oldest request is answered */

    /* the SSH transport */
    LIMIT_PACKET_BYTES = 256 * 1024 + 64,    /* a whole packet that we read; 35,000 is what RFC 4253
                                                asks for, and OpenSSH's limit is 256 KiB */
    LIMIT_PACKET_DATA_BYTES = 32 * 1024,     /* what we take as the data of one packet, and send */
    LIMIT_STRANGER_PACKET_BYTES = 48 * 1024, /* a packet before authentication: a certificate and a
                                                signature fit */
    LIMIT_STRANGER_EXCHANGES_COUNT = 8,      /* exchanges before authentication: each costs us a
                                                signature, and the peer next to nothing */
    LIMIT_VERSION_LINE_BYTES = 255,          /* RFC 4253 section 4.2, CR LF included */
    LIMIT_VERSION_LINES_COUNT = 32,          /* lines that a server may send before its version */
    LIMIT_KEXINIT_BYTES = 16 * 1024,
    LIMIT_EXT_INFO_BYTES = 8 * 1024,
    LIMIT_TRANSPORT_HELD_BYTES = 64 * 1024, /* held back during an exchange */
    LIMIT_AUTH_TRIES_COUNT = 6,             /* the default of a session */
    LIMIT_AUTH_REQUESTS_COUNT = 128,        /* of a session, offers that were taken included */
    LIMIT_CHANNELS_COUNT = 1024,            /* of one session, whatever is configured */
    LIMIT_SESSION_TEXT_BYTES = 16 * 1024,   /* what `ssh ela` prints */
    LIMIT_NAMES_ASKED_COUNT = 4096,         /* questions of one worker of a gate to its resolver
                                               that are not answered yet */
    LIMIT_PROXY_HEADER_BYTES = 536,         /* of PROXY protocol v2, what follows the addresses
                                               included: what one TCP segment surely carries */

    /* names people choose */
    LIMIT_ACCOUNT_NAME_CHARS = 32, /* as useradd's */
    LIMIT_PROJECT_NAME_CHARS = 64,
    LIMIT_CLUSTER_NAME_CHARS = 64,
    LIMIT_HOST_NAME_CHARS = 253,
    LIMIT_JOB_NAME_CHARS = 64,
    LIMIT_REASON_CHARS = 256,
    LIMIT_DISPLAY_NAME_CHARS = 128,
    LIMIT_PASSWORD_CHARS_MIN = 12,
    LIMIT_PASSWORD_CHARS_MAX = 512,

    /* what administrators may set up */
    LIMIT_QUOTA_PER_DAY = 100000,     /* certificates of one account, and the site's default */
    LIMIT_API_KEYS_COUNT = 64,        /* of one service account, that are valid */
    LIMIT_HOST_KEYS_COUNT = 4,        /* of one host */
    LIMIT_BOUND_CLUSTERS_COUNT = 16,  /* that one credential names, which is good for those alone */
    LIMIT_GRANTS_COUNT = 32,          /* of one account, that are valid */
    LIMIT_GRANT_COMMAND_CHARS = 1024, /* a grant's forced command */
    LIMIT_GRANT_CLOCK_S = 120,        /* by which a proof's time may differ from ours */
    LIMIT_SIGN_IN_S = 15 * 60,        /* since one that makes lasting credentials */
    LIMIT_TICKET_S = 120,             /* a one-time token of another client's dialect */

    /* keys and jobs */
    LIMIT_REGISTERED_KEYS_COUNT = 32,              /* of one account, that people registered */
    LIMIT_JOB_NODES_COUNT = 10000,                 /* of one job */
    LIMIT_JOBS_COUNT = 100000,                     /* running on one cluster */
    LIMIT_JOBS_PER_NODE_COUNT = 1024,              /* running there, that it tells of itself */
    LIMIT_JOB_ENROLMENTS_COUNT = 64,               /* hosts that come with one job */
    LIMIT_SCHEDULER_LIST_BYTES = 64 * 1024 * 1024, /* what a scheduler's program may print */
    LIMIT_SCHEDULER_S = 8,                         /* until it has */
    LIMIT_SCHEDULER_HOOK_S = 2,                    /* a prologue or epilogue, whatever happens */
    LIMIT_UNCONFIRMED_JOB_S = 10 * 60, /* one that a prologue told of, until a watcher does */
    LIMIT_HOSTLIST_BRACKETS_COUNT = 4, /* of one name: "r[1-4]n[1-9]" has two */

    /* what a gate asks the authority, and tells it */
    LIMIT_UPLINK_FRAME_BYTES = 60 * 1024,  /* a question's, within LIMIT_HTTP_BODY_BYTES */
    LIMIT_UPLINK_ANSWER_BYTES = 64 * 1024, /* an answer's */
    LIMIT_UPLINK_EVENT_BYTES = 1024,
    LIMIT_UPLINK_PEERS_COUNT = 256,    /* each worker of each gate is one */
    LIMIT_UPLINK_QUESTIONS_COUNT = 64, /* that wait for their turn */
    LIMIT_UPLINK_EVENTS_COUNT = 4096,  /* kept while the authority is away */
    LIMIT_AUDIT_EVENTS_COUNT = 50,     /* that a host tells in one call */
    LIMIT_GATE_SESSIONS_COUNT =
        32 * 1024,                        /* of one gate's machine, that the authority is told of */
    LIMIT_GATE_SESSIONS_TOLD_COUNT = 200, /* in one call */
    LIMIT_GATE_SESSION_BYTES = 1024,      /* one of them */
    LIMIT_GATE_SILENT_S = 90,             /* one that tells nothing for so long has no sessions */
    LIMIT_ENROLMENT_INPUT_BYTES = 32 * 1024, /* that ssh-copy-id may send */
    LIMIT_ENROLMENT_KEYS_COUNT = 16,         /* in it */
    LIMIT_ENROLMENT_S = 2 * 60,              /* a session that a password let in, and its token */

    /* HTTP */
    LIMIT_HTTP_HEADERS_BYTES = 16 * 1024,
    LIMIT_HTTP_BODY_BYTES = 64 * 1024, /* a request's */
    LIMIT_HTTP_FIELDS_COUNT = 64,
    LIMIT_HTTP_QUERY_COUNT = 16,            /* parameters of a query string */
    LIMIT_HTTP_CHUNK_OVERHEAD_BYTES = 4096, /* a chunk's size line, or all trailers */
    LIMIT_HTTP_ANSWER_FIELDS_BYTES = 4096,  /* of http_answer_header() */
    LIMIT_HTTP_ANSWER_BYTES =
        64 * 1024 * 1024, /* an answer's, as our client reads it (feed snapshots) */
    LIMIT_HTTP_CONNECTIONS_COUNT = 12 * 1024, /* ten thousand hosts wait with one each */
    LIMIT_HTTP_CONNECTIONS_PER_ADDRESS_COUNT = 512,
    LIMIT_HTTP_REQUEST_S = 15, /* from the first byte of a request to its last */
    LIMIT_HTTP_IDLE_S = 75,
    LIMIT_HTTP_ANSWER_S = 30, /* to take an answer, and a second more for each … */
    LIMIT_HTTP_ANSWER_BYTES_PER_S = 32 * 1024,
    LIMIT_HTTP_LINGER_S = 2, /* reading on after a refusal, so that the client gets to see it */
    LIMIT_HTTP_LONG_POLL_S = 50,
    LIMIT_JSON_DEPTH = 16,

    /* the store */
    LIMIT_LIST_ROWS_COUNT = 1000, /* rows of one page of a listing */
    LIMIT_STATISTICS_STEPS_COUNT = 1000,
    LIMIT_FEED_EVENTS_COUNT = 2000, /* events of one answer; beyond that a snapshot is cheaper */

    /* the feed, as gates and hosts read it */
    LIMIT_FEED_CHANGES_COUNT = 1024 * 1024,
    LIMIT_FEED_PAGE_CHANGES_COUNT = 2000, /* of a snapshot in pages: the first that is reached … */
    LIMIT_FEED_PAGE_BYTES = 512 * 1024,   /* … ends a page, and the change that reaches it fits */
    LIMIT_FEED_PAGES_COUNT = 8192,        /* of one snapshot */
    LIMIT_FEED_CURSOR_CHARS = 128,
    LIMIT_CUT_CHARS = 64,              /* the id of a session that a gate is to end */
    LIMIT_FEED_POLLS_COUNT = 256,      /* of one host that wait at the same time */
    LIMIT_FEED_CLUSTERS_COUNT = 256,   /* that one account reaches */
    LIMIT_FEED_SUBSCRIBERS_COUNT = 16, /* of sync's socket */
    LIMIT_FEED_SUBSCRIBER_S = 10,      /* one that takes nothing for so long is cut */
    LIMIT_FEED_SUBSCRIBER_BYTES = 64 * 1024 * 1024 + 64 * 1024, /* held for one: the longest answer
                                                                   and some short ones */
    LIMIT_LOGIN_DESTINATIONS_COUNT = 4096, /* sshd takes no more permitopen of one key */

    /* sessions */
    LIMIT_LOGIN_CREDENTIALS_COUNT = 256, /* of one connection of sshd's, which asks for a few */

    /* internal keys and job keys, on frontends */
    LIMIT_HOME_FILE_BYTES = 4096,   /* of a key file in a home, that is read */
    LIMIT_HOME_FILE_CHARS = 64,     /* its name */
    LIMIT_HOME_S = 10,              /* for one look into a home, or one writing */
    LIMIT_HOME_MARK_MS = 2000,      /* to see whether anything was touched there */
    LIMIT_INTERNAL_KEYS_COUNT = 64, /* of one account: each frontend may keep one */
    LIMIT_JOB_QUESTION_BYTES = 4096,
    LIMIT_JOB_ANSWER_BYTES = 64 * 1024,
    LIMIT_JOB_ASKERS_COUNT = 64,
    LIMIT_JOB_ASKERS_PER_USER_COUNT = 8,
    LIMIT_JOB_ASKS_PER_MINUTE_COUNT = 120, /* of one user: the authority bounds the whole host */
    LIMIT_JOB_ASKER_S = 5,                 /* for the whole question, or to take the answer */

    /* identity: signed tokens and the keys that verify them */
    LIMIT_JWS_CHARS = 16 * 1024,
    LIMIT_JWK_ID_CHARS = 127,
    LIMIT_JWK_SET_BYTES = 128 * 1024,
    LIMIT_JWK_SET_KEYS_COUNT = 64,
    LIMIT_SIGNING_KEYS_COUNT = 16,               /* of the embedded issuer, retired ones included */
    LIMIT_AUTHORIZATIONS_COUNT = 4096,           /* codes and device grants that wait */
    LIMIT_AUTHORIZATIONS_PER_ACCOUNT_COUNT = 16, /* that it approved */
    LIMIT_ISSUER_CHARS = 255,                    /* the URL of an external issuer */
    LIMIT_SUBJECT_CHARS = 255,                   /* "sub" (OpenID Connect Core 1.0 section 2) */
    LIMIT_OAUTH_TEXT_CHARS = 255,                /* state, nonce, scope, challenge, redirect URI */
    LIMIT_ISSUERS_COUNT = 8,                     /* external ones */
    LIMIT_NEGOTIATE_TOKEN_BYTES = 10 * 1024,     /* a Kerberos ticket's, within HTTP's headers */

    /* identity: passkeys and security keys, and codes in their place */
    LIMIT_WEBAUTHN_CHALLENGE_BYTES = 32,
    LIMIT_WEBAUTHN_CLIENT_DATA_BYTES = 4096,
    LIMIT_WEBAUTHN_ANSWER_BYTES = 16 * 1024, /* with a chain of certificates */
    LIMIT_PASSKEY_ID_BYTES = 1023,           /* WebAuthn section 7.1, step 25 */
    LIMIT_PASSKEY_KEY_BYTES = 533,           /* RSA of 4096 bits, its exponent of 64, as COSE_Key */
    LIMIT_PASSKEYS_PER_ACCOUNT_COUNT = 16,
    LIMIT_RECOVERY_CODES_COUNT = 10,

    /* certificates that renew by themselves */
    LIMIT_KEYRING_SECRET_BYTES = 1024, /* what a keyring keeps for us: a password, a TOTP secret */
    LIMIT_KEYRING_ENTRIES_COUNT = 64,  /* that are listed */
    LIMIT_KEYRING_S = 10,              /* until a desktop's keyring has answered */
    LIMIT_REFRESH_WAIT_S = 60,  /* for another postern-refresh, where nobody says otherwise */
    LIMIT_REFRESH_AGAIN_S = 60, /* after a renewal that failed, while the certificate is valid */

    /* tunnels, at the laptop */
    LIMIT_TUNNEL_CONNECTIONS_COUNT = 256, /* through one; more wait in the kernel's queue */
    LIMIT_SSH_SAID_BYTES = 64 * 1024,     /* what one ssh says of its login */
    LIMIT_LISTENERS_BYTES = 1024 * 1024,  /* what a node tells of where it listens */

    /* files */
    LIMIT_CONFIG_FILE_BYTES = 1024 * 1024,
    LIMIT_CONFIG_DEPTH = 8,              /* lists and mappings in one another */
    LIMIT_RELOAD_S = 10,                 /* for sshd's reload; the feed waits meanwhile */
    LIMIT_CONFIG_COMPLAINTS_COUNT = 100, /* told about one file */
    LIMIT_STATE_FILE_BYTES = 1024 * 1024,

    /* what an account reaches, as the command line keeps it and configures ssh from it */
    LIMIT_REACH_HOSTS_COUNT = 100000, /* jump hosts and clusters included */
    LIMIT_REACH_BYTES = 64 * 1024 * 1024,
    LIMIT_SSH_CONFIG_BYTES = 64 * 1024 * 1024,
    LIMIT_SSH_CONFIG_LINE_CHARS = 1000, /* OpenSSH before 7.8 reads no longer ones */
};

/* A key is good for so many bytes and packets of one direction and so long (RFC 4253 section 9, RFC
 * 4344 section 3.1). */
#define LIMIT_REKEY_BYTES   (32ULL * 1024 * 1024 * 1024)
#define LIMIT_REKEY_PACKETS (1U << 31)
#define LIMIT_REKEY_MS      (3600LL * 1000)

/* Longest duration anything may be asked for: 366 days. */
#define LIMIT_DURATION_S (366LL * 24 * 3600)

/* Lifetimes that the signer signs, whatever the policy says; an hour covers the backdating. */
#define LIMIT_SIGNER_USER_S (31LL * 24 * 3600 + 3600)
#define LIMIT_SIGNER_HOST_S (LIMIT_DURATION_S + 3600)
/* How far in the future a certificate may begin that the signer signs: clocks get set back. */
#define LIMIT_SIGNER_AHEAD_S 3600

#endif
