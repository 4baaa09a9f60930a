/* What the store keeps of a kernel and of a choice: read as it was written, and distrusted. */
#include "runtime/choice.h"
#include "runtime/image.h"
#include "tests/runtime_stub.h"

static fg_error error;

static image stub_image(fg_context *context)
{
    image i;
    fg_problem *p = stub_problem(context, "dtype=f64 b=1 hq=4 sq=64 d=4");
    stub_is_number();
    stub_add_slot(SLOT_stride, "q", 1);
    stub_add_slot(SLOT_real, "scale", 0);
    stub_add_slot(SLOT_recipe, "max(b, 3) * (sq + 63) // 64 - -7 % hq", 0);
    stub_tasks = "b * hq";
    stub_scratch = "min(d, dv) * 64";
    ck_assert_int_eq(image_make(&i, context, p->problem, "keys=64 mk=8", NULL, &error), FG_OK);
    fg_problem_free(p);
    return i;
}

static void same_recipe(const recipe *a, const recipe *b)
{
    recipe_facts facts = { 3, 12, 4, 517, 333, 80, 96, 3 * 517, 3 * 333, 2 };
    int64_t x = 0, y = 1;
    ck_assert_int_eq(recipe_eval(a, &facts, &x, NULL), FG_OK);
    ck_assert_int_eq(recipe_eval(b, &facts, &y, NULL), FG_OK);
    ck_assert_int_eq(x, y);
}

START_TEST(an_image_comes_back)
{
    text bytes;
    store_section sections[image_sections];
    image back;
    fg_context *context = stub_context(NULL);
    image i = stub_image(context);
    ck_assert_int_eq(image_write(&bytes, sections, &i, &error), FG_OK);
    ck_assert_int_eq(image_read(&back, context, sections, image_sections, &error), FG_OK);
    ck_assert_str_eq(back.made->schedule, "stub");
    ck_assert_str_eq(back.made->config, "keys=64 mk=8");
    ck_assert_int_eq(back.made->slots, i.made->slots);
    for (int k = 0; k < i.made->slots; k++) {
        const made_slot *a = &i.made->slot[k], *b = &back.made->slot[k];
        ck_assert_int_eq(a->kind, b->kind);
        ck_assert_int_eq(a->dim, b->dim);
        ck_assert_str_eq(a->name, b->name);
        if (a->kind == SLOT_recipe) same_recipe(&a->recipe, &b->recipe);
    }
    ck_assert_int_eq(back.made->steps, 1);
    same_recipe(&i.made->step[0].tasks, &back.made->step[0].tasks);
    same_recipe(&i.made->step[0].scratch, &back.made->step[0].scratch);
    ck_assert_mem_eq(back.compiled.data, i.compiled.data, i.compiled.size);
    image_free(&back);
    image_free(&i);
    text_free(&bytes);
    fg_context_free(context);
}
END_TEST

START_TEST(a_cut_or_longer_image_is_none)
{
    text bytes;
    store_section sections[image_sections];
    image back;
    fg_context *context = stub_context(NULL);
    image i = stub_image(context);
    ck_assert_int_eq(image_write(&bytes, sections, &i, &error), FG_OK);
    size_t whole = sections[0].size;
    for (sections[0].size = 0; sections[0].size < whole; sections[0].size++)
        ck_assert_int_eq(image_read(&back, context, sections, 2, &error), FG_REQUEST);
    sections[0].size = whole;
    ck_assert_int_eq(image_read(&back, context, sections, 1, &error), FG_REQUEST);
    text_add(&bytes, "", 1);
    sections[0] = (store_section){ bytes.data, bytes.length };
    ck_assert_int_eq(image_read(&back, context, sections, 2, &error), FG_REQUEST);
    sections[0].size = whole;
    sections[1].size = 0;
    ck_assert_int_eq(image_read(&back, context, sections, 2, &error), FG_REQUEST);
    image_free(&i);
    text_free(&bytes);
    fg_context_free(context);
}
END_TEST

/* What no maker made is found out before it is launched. */
START_TEST(an_image_with_foreign_parts_is_not_loaded)
{
    kernel *k;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, "dtype=f64 b=1 hq=4 sq=64 d=4");
    image i = stub_image(context);
    made_slot slot = i.made->slot[1];
    strcpy(i.made->slot[1].name, "w");
    ck_assert_int_eq(kernel_load(&k, context, p->problem, &i, &error), FG_INTERNAL);
    i.made->slot[1] = slot;
    i.made->slot[1].dim = 5;
    ck_assert_int_eq(kernel_load(&k, context, p->problem, &i, &error), FG_INTERNAL);
    i.made->slot[1] = slot;
    strcpy(i.made->step[0].entry, "absent");
    ck_assert_int_eq(kernel_load(&k, context, p->problem, &i, &error), FG_INTERNAL);
    ck_assert_ptr_null(k);
    image_free(&i);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(a_choice_comes_back)
{
    text lines;
    choice back, c = { .schedule = "c",
                       .config = "keys=64 mk=8",
                       .seconds = 1.25e-3,
                       .spread = 0x1p-40,
                       .budget = HUGE_VAL,
                       .legal = 9450,
                       .rejected = 3,
                       .decided = 1 };
    c.kernel = digest_of("k", 1);
    c.compiler = digest_of("c", 1);
    text_init(&lines, &memory_default);
    choice_write(&lines, &c);
    ck_assert(choice_read(&back, lines.data, lines.length));
    ck_assert_mem_eq(&back, &c, sizeof c);
    for (size_t size = 0; size < lines.length; size++)
        ck_assert(!choice_read(&back, lines.data, size));
    lines.data[strlen("schedule ")] = 0;
    ck_assert(!choice_read(&back, lines.data, lines.length));
    text_free(&lines);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_image_comes_back,
        a_cut_or_longer_image_is_none,
        an_image_with_foreign_parts_is_not_loaded,
        a_choice_comes_back,
        NULL,
    };
    return support_run("image", tests);
}
