-- How often things happened, in stretches of five minutes and of an hour: what charts over time are drawn from. The
-- kinds are those of enum tally_kind; what the audit log has already is counted once, here.

CREATE TABLE tally (
    step_s INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (step_s, at, kind)
) STRICT, WITHOUT ROWID;

CREATE TEMP TABLE counted AS
SELECT at, CASE
        WHEN action = 'gate.login' AND allowed THEN 1
        WHEN action IN ('gate.login', 'gate.channel') THEN 2
        WHEN action IN ('session.login', 'session.sign-in', 'issuer.sign-in') AND allowed THEN 3
        WHEN action IN ('certificate.sign', 'certificate.generate', 'certificate.sign_once', 'grant.renew',
                        'job_certificate.sign') AND allowed THEN 4
        WHEN action NOT LIKE 'gate.%' AND NOT allowed THEN 5
    END AS kind
FROM audit;
INSERT INTO tally SELECT 300, at / 300 * 300 AS stretch, kind, count(*) FROM counted WHERE kind IS NOT NULL
    GROUP BY stretch, kind;
INSERT INTO tally SELECT 3600, at / 3600 * 3600 AS stretch, kind, sum(count) FROM tally GROUP BY stretch, kind;
DROP TABLE counted;
