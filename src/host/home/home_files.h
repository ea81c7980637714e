/* What home.h's child does once it is the user: the same contracts, in this process and with its
 * rights. */
#ifndef POSTERN_HOST_HOME_FILES_H
#define POSTERN_HOST_HOME_FILES_H

#include "host/home/home.h"

err_t home_files_look(const struct home *home, char out[HOME_PUBLIC_CHARS], struct fault *fault);
err_t home_files_put(const struct home *home, span_t private_text, struct fault *fault);
err_t home_files_remove(const struct home *home, const char *public_line, struct fault *fault);

#endif
