/* posternd init: everything a fresh authority needs, in one folder. */
#ifndef POSTERN_AUTHORITY_INIT_H
#define POSTERN_AUTHORITY_INIT_H

/* argv without the program and "init". Returns the exit status. */
int init_main(int argc, char **argv);

#endif
