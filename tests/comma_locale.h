/* A locale that writes 1,5 and 1.000, as the German one does, on machines that have none installed. */
#ifndef TESTS_COMMA_LOCALE_H
#define TESTS_COMMA_LOCALE_H

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Builds it in a temporary folder with libc's localedef, and enters it. */
static inline void comma_locale_enter(void)
{
    char folder[] = "/tmp/flashgen-locale-XXXXXX", command[256], number[8];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    FILE *source = fopen("source", "w"), *charmap = fopen("charmap", "w");
    ck_assert(source && charmap);
    fputs("LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n",
          source);
    fputs("<code_set_name> ANSI_X3.4-1968\n<escape_char> /\nCHARMAP\n", charmap);
    for (int c = 0; c < 128; c++) fprintf(charmap, "<U%04X> /x%02x %d\n", c, c, c);
    fputs("END CHARMAP\n", charmap);
    ck_assert(fclose(source) == 0 && fclose(charmap) == 0);
    /* -c: the other categories are missing, which is a warning. Its exit status says so, too. */
    ck_assert_int_ge(system("localedef --no-archive -c -i ./source -f ./charmap ./comma >log 2>&1"),
                     0);
    setenv("LOCPATH", folder, 1);
    ck_assert_msg(setlocale(LC_ALL, "comma") != NULL, "localedef made no locale");
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(number, sizeof number, "%.1f", 1.5);
    ck_assert_str_eq(number, "1,5");
}

#endif
