#ifndef CLI_PLACES_H
#define CLI_PLACES_H

#include "tensors.h"

/* Puts --origin and --whole into `args`, and what the latter says, else -1, into *whole. */
fg_status places_take(fg_args *args, lengths *whole, const char *line, const input_choices *inputs,
                      fg_error *error);

#endif
