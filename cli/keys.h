/* The keys of a problem, as --help lists them. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

typedef struct key_help {
    const char *keys, *what; /* keys: separated by spaces, each as KEY or KEY=VALUE */
} key_help;

extern const key_help key_helps[]; /* up to one without keys */

#endif
