/* What a run is given besides tensors: the options of those subcommands that run a problem. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "options.h"

typedef struct input_choices {
    natural b, sq, sk;
    natural seed, offset;
    const char *origin, *whole; /* of a shard, or NULL */
} input_choices;

/* clang-format off */
#define SIZE_OPTIONS(type, field)                                                                  \
    { "b", OPTION_natural, "N", offsetof(type, field.b), "the batch, where the problem says b=*" },  \
    { "sq", OPTION_natural, "N", offsetof(type, field.sq),                                           \
      "queries, where it says sq=* (a bound with lens)" },                                         \
    { "sk", OPTION_natural, "N", offsetof(type, field.sk),                                           \
      "keys, where it says sk=* (a bound with lens; whole pages with page)" }

#define INPUT_OPTIONS(type, field)                                                                 \
    SIZE_OPTIONS(type, field),                                                                     \
    { "seed", OPTION_natural, "N", offsetof(type, field.seed), "of dropout, 64 bits (0)" },          \
    { "offset", OPTION_natural, "N", offsetof(type, field.offset), "of dropout, 64 bits (0)" },      \
    { "origin", OPTION_text, "B,H,I,J", offsetof(type, field.origin),                                \
      "where a shard starts in the whole run (0,0,0,0)" },                                         \
    { "whole", OPTION_text, "B,HQ,HKV,SQ,SK", offsetof(type, field.whole),                           \
      "sizes of the whole run that a shard is a part of (the shard's)" }
/* clang-format on */

/* Of SIZE_OPTIONS. */
fg_dims inputs_dims(const input_choices *c);

#endif
