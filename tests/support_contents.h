/* The tensors and numbers of a drawn case. */
#ifndef TESTS_SUPPORT_CONTENTS_H
#define TESTS_SUPPORT_CONTENTS_H

#include "tests/support_case.h"
#include "tests/support_tensor.h"

void case_tensors(test_tensors *t, fg_problem *handle, const drawn_case *c);

#endif
