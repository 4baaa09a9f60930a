/* A maker that hands out stub_text as it is. */
#ifndef TESTS_TEXT_STUB_H
#define TESTS_TEXT_STUB_H

#include "tests/runtime_stub.h"

static fg_status text_make(made **out, const maker_request *r, fg_error *why)
{
    made *m = memory_new(r->memory, 1, sizeof *m);
    *m = (made){ .memory = r->memory, .slots = stub_slots, .text_length = strlen(stub_text) };
    memcpy(m->slot, stub_slot, sizeof stub_slot);
    m->schedule = stub_copy(r->memory, "stub");
    m->config = stub_copy(r->memory, "none=1");
    m->text = stub_copy(r->memory, stub_text);
    *out = m;
    return stub_steps(m, why);
}

static const maker text_maker = { .make = text_make, .hash = stub_hash };

#endif
