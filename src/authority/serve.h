/* posternd serve: the authority at work. */
#ifndef POSTERN_AUTHORITY_SERVE_H
#define POSTERN_AUTHORITY_SERVE_H

/* Returns the exit status. */
int serve_main(const char *config_path);

#endif
