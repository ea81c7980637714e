/* The person's browser. */
#ifndef POSTERN_CLI_BROWSER_H
#define POSTERN_CLI_BROWSER_H

/*
 * Opens it by $BROWSER, else by what the system opens addresses with (xdg-open, open, wslview), and
 * does not wait. Whether one opened is not known: the caller has told the URL already. Everybody on
 * the machine can see it among the words of a command line, so it must hold nothing that is secret.
 */
void browser_open(const char *url);

#endif
