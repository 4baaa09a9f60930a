/* Any bytes as what launching a kernel takes, and as a choice: refused, or read whole; what is read can be
 * written and read again, and its recipes evaluated. The first byte says which. */
#include "runtime/choice.h"
#include "runtime/image.h"

#include <stdlib.h>
#include <string.h>

static void require(bool holds)
{
    if (!holds) abort();
}

static void try_launch(const uint8_t *data, size_t size)
{
    static fg_context context;
    context.memory = memory_default;
    recipe_facts facts = { 1, 2, 1, 3, 4, 5, 6, 3, 4, 2 };
    store_section sections[image_sections] = { { data, size }, { "ELF", 3 } };
    int64_t value;
    image i, again;
    text bytes;
    if (image_read(&i, &context, sections, image_sections, NULL) != FG_OK) return;
    for (int k = 0; k < i.made->steps; k++) {
        recipe_eval(&i.made->step[k].tasks, &facts, &value, NULL);
        recipe_eval(&i.made->step[k].scratch, &facts, &value, NULL);
    }
    require(image_write(&bytes, sections, &i, NULL) == FG_OK);
    require(bytes.length == size && memcmp(bytes.data, data, size) == 0);
    require(image_read(&again, &context, sections, image_sections, NULL) == FG_OK);
    image_free(&again);
    image_free(&i);
    text_free(&bytes);
}

static void try_choice(const uint8_t *data, size_t size)
{
    choice c;
    text lines;
    if (!choice_read(&c, data, size)) return;
    require(strlen(c.schedule) < sizeof c.schedule && strlen(c.config) < sizeof c.config);
    text_init(&lines, &memory_default);
    choice_write(&lines, &c);
    require(choice_read(&c, lines.data, lines.length));
    text_free(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    (data[0] & 1 ? try_choice : try_launch)(data + 1, size - 1);
    return 0;
}
