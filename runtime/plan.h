#ifndef RUNTIME_PLAN_H
#define RUNTIME_PLAN_H

#include "runtime/kernel.h"

struct fg_plan {
    kernel *kernel;
    fg_source source;
};

#endif
