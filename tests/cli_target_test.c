/* What the command runs on, and writes for. */
#include "tests/support.h"
#include "tests/support_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With a driver that shows GPUs which are not there. */
START_TEST(info_says_which_gpus_there_are)
{
    enter_folder();
    cJSON *object =
        json_of(assert_works(RUN("info", "--json", "--target", "cuda:1", "--cuda-driver",
                                 FLASHGEN_FAKE_CUDA, "--nvrtc", FLASHGEN_FAKE_CUDA)));
    ck_assert_str_eq(text_in(object, "device"), "Fake A100");
    ck_assert_str_eq(text_in(object, "place"), "cuda:1");
    ck_assert_str_eq(text_in(object, "target"), "cuda");
    ck_assert_str_eq(text_in(object, "isa"), "sm_80");
    ck_assert(number_in(object, "cores") == 108);
    cJSON_Delete(object);
    object = json_of(assert_works(RUN("info", "--json", "--cuda-driver", FLASHGEN_FAKE_CUDA)));
    ck_assert_str_eq(text_in(object, "target"), "c");
    ck_assert_str_eq(text_in(object, "gpus"), "cuda:0 Fake H100 (sm_90); cuda:1 Fake A100 (sm_80)");
    cJSON_Delete(object);
    object = json_of(assert_works(RUN("info", "--json", "--cuda-driver", "/no/driver")));
    ck_assert_ptr_nonnull(strstr(text_in(object, "gpus"), "no CUDA device here: /no/driver"));
    cJSON_Delete(object);
    object = json_of(
        assert_works(RUN("info", "--json", "--target", "auto", "--cuda-driver", "/no/driver")));
    ck_assert_str_eq(text_in(object, "place"), "cpu");
    cJSON_Delete(object);
    assert_fails(RUN("info", "--target", "cuda", "--cuda-driver", "/no/driver"), 3,
                 "no CUDA device here: /no/driver");
    assert_fails(RUN("info", "--target", "cuda:7", "--cuda-driver", FLASHGEN_FAKE_CUDA), 3,
                 "there is no cuda:7: CUDA shows 2 devices here");
    leave_folder();
}
END_TEST

/* The place that info says, with nothing in front of these words. */
static char *place_with(const char *first, const char *second, const char *driver)
{
    const char *const argv[] = { FLASHGEN_COMMAND, "info", "--json", "--nvrtc", "/no/nvrtc",
                                 "--cuda-driver",  driver, first,    second,    NULL };
    int out = stream_new();
    ck_assert_int_eq(command_spawn((char *const *)(uintptr_t)argv, out, 2), 0);
    char *text = stream_end(out);
    cJSON *object = cJSON_Parse(text);
    char *place = strdup(text_in(object, "place"));
    cJSON_Delete(object);
    free(text);
    return place;
}

/* Without --target, and with auto: the first GPU that there are schedules for. */
START_TEST(what_it_runs_on)
{
    static const struct {
        const char *majors, *first, *second, *driver, *place;
    } cases[] = {
        { "98", NULL, NULL, FLASHGEN_FAKE_CUDA, "cuda:0" },
        { "98", "--target", "auto", FLASHGEN_FAKE_CUDA, "cuda:0" },
        { "78", NULL, NULL, FLASHGEN_FAKE_CUDA, "cuda:1" },
        { "78", "--target", "cuda", FLASHGEN_FAKE_CUDA, "cuda:0" },
        { "77", NULL, NULL, FLASHGEN_FAKE_CUDA, "cpu" },
        { "98", NULL, NULL, "/no/driver", "cpu" },
        { "98", "--target", "c", FLASHGEN_FAKE_CUDA, "cpu" },
        { "98", "--isa", "portable", FLASHGEN_FAKE_CUDA, "cpu" },
        { "98", "--threads", "1", FLASHGEN_FAKE_CUDA, "cpu" },
    };
    enter_folder();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        setenv("FAKE_CUDA_MAJORS", cases[k].majors, 1);
        char *place = place_with(cases[k].first, cases[k].second, cases[k].driver);
        ck_assert_msg(strcmp(place, cases[k].place) == 0, "case %zu: %s", k, place);
        free(place);
    }
    unsetenv("FAKE_CUDA_MAJORS");
    leave_folder();
}
END_TEST

/* Its first line is a command for the text that follows. */
START_TEST(emitted_for_a_gpu)
{
    enter_folder();
    outcome o = assert_works(RUN("emit", "dtype=f16 b=1 hq=1 sq=64 d=64", "--target", "sm_90"));
    static const char begins[] = "/* nvcc --gpu-architecture=sm_90a ";
    char *end = strchr(o.out, '\n');
    ck_assert_ptr_nonnull(end);
    *end = 0;
    ck_assert_msg(strncmp(o.out, begins, strlen(begins)) == 0, "%s", o.out);
    ck_assert_msg(strstr(o.out, " -cubin -o kernel.cubin kernel.cu */") != NULL, "%s", o.out);
    ck_assert_msg(!strstr(o.out, "-shared") && !strstr(o.out, "-fPIC"), "%s", o.out);
    outcome_free(&o);
    leave_folder();
}
END_TEST

/* What a GPU left in its memory is checked, and fetched where a file is to have it. */
START_TEST(checked_on_a_gpu)
{
#define ON_GPU                                                                                     \
    "--check", "--store", "none", "--target", "cuda", "--cuda-driver", FLASHGEN_FAKE_CUDA,         \
        "--nvrtc", FLASHGEN_FAKE_CUDA
    enter_folder();
    outcome o = RUN("run", "dtype=f16 b=1 hq=1 sq=8 d=16 lse", ON_GPU, "--out", "o.npy", "--lse",
                    "lse.npy");
    ck_assert_int_eq(o.code, 1);
    ck_assert_msg(strstr(o.out, "check     WRONG: error ") != NULL, "%s", o.out);
    ck_assert_msg(strstr(o.err, "the output is wrong: ") != NULL, "%s", o.err);
    ck_assert_int_eq(access("o.npy", R_OK), 0);
    ck_assert_int_eq(access("lse.npy", R_OK), 0);
    outcome_free(&o);
    o = assert_works(RUN("run", "dtype=f16 b=1 hq=1 sq=0 sk=4 d=16", ON_GPU));
    ck_assert_msg(strstr(o.out, "kernel    target cuda, ") != NULL, "%s", o.out);
    ck_assert_msg(strstr(o.out, "check     right: ") != NULL, "%s", o.out);
    outcome_free(&o);
    leave_folder();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        info_says_which_gpus_there_are, what_it_runs_on, emitted_for_a_gpu, checked_on_a_gpu, NULL,
    };
    return support_run("cli_target", tests);
}
