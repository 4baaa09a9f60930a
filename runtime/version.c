#include "flashgen.h"

#define STRING(x)  #x
#define VERSION(x) STRING(x)

const char *fg_version(void)
{
    return VERSION(FG_VERSION_MAJOR) "." VERSION(FG_VERSION_MINOR) "." VERSION(FG_VERSION_PATCH);
}

const char *fg_status_name(fg_status status)
{
    static const char *const names[] = {
#define STATUS_NAME(name, exit_code, meaning) #name,
        FG_STATUSES(STATUS_NAME)
#undef STATUS_NAME
    };
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "no status";
}
