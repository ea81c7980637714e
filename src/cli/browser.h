/* The person's browser. */
#ifndef POSTERN_CLI_BROWSER_H
#define POSTERN_CLI_BROWSER_H

/* Opens it there by xdg-open, or `open` on macOS, and does not wait. Where there is none that is
 * said: the URL is on the screen anyhow. */
void browser_open(const char *url);

#endif
