/* Everything that the doctor saw, in one text for a support team, without what is secret. */
#ifndef POSTERN_CLI_REPORT_H
#define POSTERN_CLI_REPORT_H

#include "cli/doctor/checks.h"

/* Writes it to `path`, 0600, through redact(). Trouble when that fails. */
err_t report_write(struct cli *cli, const struct facts *facts, const struct finding *findings,
                   const char *path);

/* "broken" and so on, in --json and in reports. */
const char *health_name(enum health health);

#endif
