/* A problem as an XLA custom call on the CPU: fg_run below XLA's C interface, as a JAX program calls it.
 *
 *   attributes  problem: the line; config: "k=v ..." pins these axes, or ""
 *   operands    the problem's inputs, in the order of fg_problem_tensor, rng among them where there is dropout
 *   results     its outputs in that order, then the workspace, u8 [attention_workspace(problem, config)]
 *
 * XLA names every buffer for as long as a call lasts, so a call keeps nothing but the plan, in the context. */
#include <flashgen.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xla/ffi/api/c_api.h>

#define EXPORT __attribute__((visibility("default")))

enum { most_tensors = 32 };

/* ---- One context for the process ---- */

static fg_context *context;
static fg_error context_error;

static void open_context(void)
{
    fg_context_new(&context, NULL, &context_error);
}

static fg_status need_context(fg_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_context);
    if (context) return FG_OK;
    *error = context_error;
    return error->status;
}

/* ---- Errors ---- */

static fg_status refuse(fg_error *error, const char *sentence)
{
    *error = (fg_error){ .status = FG_REQUEST, .position = -1 };
    strncpy(error->text, sentence, sizeof error->text - 1);
    return FG_REQUEST;
}

static XLA_FFI_Error *raise_error(const XLA_FFI_Api *api, const fg_error *error)
{
    static const XLA_FFI_Error_Code codes[] = {
        [FG_WRONG] = XLA_FFI_Error_Code_INTERNAL,
        [FG_REQUEST] = XLA_FFI_Error_Code_INVALID_ARGUMENT,
        [FG_WORKSPACE] = XLA_FFI_Error_Code_INVALID_ARGUMENT,
        [FG_UNSUPPORTED] = XLA_FFI_Error_Code_UNIMPLEMENTED,
        [FG_COMPILER] = XLA_FFI_Error_Code_FAILED_PRECONDITION,
        [FG_MACHINE] = XLA_FFI_Error_Code_FAILED_PRECONDITION,
        [FG_MEMORY] = XLA_FFI_Error_Code_RESOURCE_EXHAUSTED,
        [FG_INTERNAL] = XLA_FFI_Error_Code_INTERNAL,
        [FG_PENDING] = XLA_FFI_Error_Code_UNAVAILABLE,
        [FG_CANCELLED] = XLA_FFI_Error_Code_CANCELLED,
        [FG_NOT_STORED] = XLA_FFI_Error_Code_NOT_FOUND,
    };
    XLA_FFI_Error_Create_Args args = { .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
                                       .message = error->text,
                                       .errc = codes[error->status] };
    return api->XLA_FFI_Error_Create(&args);
}

/* ---- Buffers ---- */

static DLDataType type_of(XLA_FFI_DataType type)
{
    switch (type) {
    case XLA_FFI_DataType_PRED:
        return (DLDataType){ 6, 8, 1 };
    case XLA_FFI_DataType_U8:
        return (DLDataType){ 1, 8, 1 };
    case XLA_FFI_DataType_S32:
        return (DLDataType){ 0, 32, 1 };
    case XLA_FFI_DataType_U32:
        return (DLDataType){ 1, 32, 1 };
    case XLA_FFI_DataType_F16:
        return (DLDataType){ 2, 16, 1 };
    case XLA_FFI_DataType_BF16:
        return (DLDataType){ 4, 16, 1 };
    case XLA_FFI_DataType_F32:
        return (DLDataType){ 2, 32, 1 };
    case XLA_FFI_DataType_F64:
        return (DLDataType){ 2, 64, 1 };
    default:
        return (DLDataType){ 0, 0, 0 }; /* of no tensor: fg_run says what it wants */
    }
}

typedef struct operands {
    fg_args args;
    int64_t inputs, outputs; /* taken so far */
    DLTensor tensor[most_tensors];
    const DLTensor *declared[most_tensors]; /* those of tensor= */
} operands;

static void bind(operands *o, const fg_tensor_info *info, DLTensor *tensor)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
#define FIELD(name) { #name, offsetof(fg_args, name) },
        FG_TENSORS(FIELD)
#undef FIELD
    };
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
        if (strcmp(fields[k].name, info->name) != 0) continue;
        *(const DLTensor **)((char *)&o->args + fields[k].offset) = tensor;
        return;
    }
    o->declared[o->args.tensor_count++] = tensor;
}

static fg_status bind_all(operands *o, const fg_problem *problem, const XLA_FFI_CallFrame *frame,
                          fg_error *error)
{
    fg_tensor_info info;
    *o = (operands){ .args = FG_ARGS_INIT };
    o->args.tensors = o->declared;
    for (size_t k = 0; fg_problem_tensor(problem, k, &info) == FG_OK; k++) {
        int64_t *next = info.output ? &o->outputs : &o->inputs;
        if (k == most_tensors || *next == (info.output ? frame->rets.size : frame->args.size))
            return refuse(error, "an operand or a result of the problem is missing");
        void **from = info.output ? frame->rets.rets : frame->args.args;
        const XLA_FFI_Buffer *buffer = from[(*next)++];
        o->tensor[k] = (DLTensor){
            buffer->data, { 1, 0 }, (int32_t)buffer->rank, type_of(buffer->dtype), buffer->dims,
            NULL,         0
        };
        bind(o, &info, &o->tensor[k]);
    }
    if (o->inputs != frame->args.size || o->outputs + 1 != frame->rets.size)
        return refuse(error, "more operands than the problem has, or no workspace as last result");
    const XLA_FFI_Buffer *workspace = frame->rets.rets[o->outputs];
    if (workspace->dtype != XLA_FFI_DataType_U8 || workspace->rank != 1)
        return refuse(error, "the workspace must be u8 of one dimension");
    o->args.workspace = workspace->data;
    o->args.workspace_bytes = (size_t)workspace->dims[0];
    return FG_OK;
}

/* ---- Plans ---- */

/* `plan` and `problem` may both be set where it fails. */
static fg_status find_plan(fg_plan **plan, fg_problem **problem, const char *line,
                           const char *config, fg_error *error)
{
    fg_plan_options options = FG_PLAN_OPTIONS_INIT;
    options.config = config;
    fg_status status = need_context(error);
    if (status == FG_OK) status = fg_problem_parse(problem, context, line, error);
    if (status == FG_OK) status = fg_plan_new(plan, context, *problem, &options, error);
    return status;
}

/* Bytes of workspace that a call of the problem needs, or -1 with a sentence [FG_ERROR_TEXT]. */
EXPORT int64_t attention_workspace(const char *line, const char *config, char *sentence)
{
    fg_error error;
    fg_problem *problem = NULL;
    fg_plan *plan = NULL;
    size_t bytes = 0;
    fg_status status = find_plan(&plan, &problem, line, config, &error);
    if (status == FG_OK) status = fg_plan_workspace(plan, NULL, &bytes, &error);
    if (status != FG_OK) memcpy(sentence, error.text, sizeof error.text);
    fg_plan_free(plan);
    fg_problem_free(problem);
    return status == FG_OK ? (int64_t)bytes : -1;
}

/* ---- The call ---- */

/* The text of an attribute, to be freed; NULL where there is none (or no memory). */
static char *attribute(const XLA_FFI_Attrs *attrs, const char *name)
{
    for (int64_t k = 0; k < attrs->size; k++) {
        const XLA_FFI_ByteSpan *span = attrs->names[k], *text = attrs->attrs[k];
        if (attrs->types[k] == XLA_FFI_AttrType_STRING && span->len == strlen(name) &&
            memcmp(span->ptr, name, span->len) == 0)
            return strndup(text->ptr, text->len);
    }
    return NULL;
}

static fg_status run(const XLA_FFI_CallFrame *frame, fg_error *error)
{
    fg_problem *problem = NULL;
    fg_plan *plan = NULL;
    operands o;
    char *line = attribute(&frame->attrs, "problem"), *config = attribute(&frame->attrs, "config");
    fg_status status = line && config
                           ? find_plan(&plan, &problem, line, config, error)
                           : refuse(error, "the attributes problem and config must be strings");
    if (status == FG_OK) status = bind_all(&o, problem, frame, error);
    if (status == FG_OK) status = fg_run(plan, &o.args, error);
    fg_plan_free(plan);
    fg_problem_free(problem);
    free(config);
    free(line);
    return status;
}

/* XLA asks once, with no operands, which version of its interface this was compiled against. */
static int tell_version(const XLA_FFI_CallFrame *frame)
{
    XLA_FFI_Extension_Base *extension = frame->extension_start;
    if (!extension || extension->type != XLA_FFI_Extension_Metadata) return 0;
    XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)extension)->metadata;
    metadata->api_version.major_version = XLA_FFI_API_MAJOR;
    metadata->api_version.minor_version = XLA_FFI_API_MINOR;
    return 1;
}

EXPORT XLA_FFI_Error *attention(XLA_FFI_CallFrame *frame)
{
    fg_error error;
    if (tell_version(frame) || run(frame, &error) == FG_OK) return NULL;
    return raise_error(frame->api, &error);
}
