/* Any bytes as a .npy file: refused with a sentence, or every element that it promises is there. */
#include "cli/npy.h"

#include <stdlib.h>
#include <string.h>

static void require(int holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    npy_header h;
    fg_error error = { FG_OK, -1, "" };
    fg_status s = npy_parse(&h, data, size, "fuzz.npy", &error);
    if (s != FG_OK) {
        require(s == FG_REQUEST && error.text[0] && !strchr(error.text, '\n'));
        return 0;
    }
    require(h.type && h.rank >= 0 && h.rank <= npy_max_rank && h.count >= 0);
    require(h.data + (size_t)h.count * (h.type->bits / 8u) == size);
    volatile double sum = 0;
    for (int64_t n = 0; n < h.count; n++) sum = sum + npy_at(&h, data, n);
    return 0;
}
