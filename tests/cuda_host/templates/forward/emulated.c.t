% -- The text of forward/cuda_mma.cu.t and, for each of its kernels, a task function that runs blocks of it.
% local gpu = require("templates.forward.emulated").device
% local kernels = require("templates.forward.cuda_mma").steps(p, cfg, gpu, variant)
% for _, step in ipairs(kernels) do
#define ${step.entry} ${step.entry}_kernel
% end
% include("templates/forward/cuda_mma.cu.t", { dev = gpu })
% for _, step in ipairs(kernels) do
#undef ${step.entry}

static void ${step.entry}_thread(const void *args) { ${step.entry}_kernel(*(const struct args *)args); }

extern "C" __attribute__((visibility("default"))) void ${step.entry}(const struct args *a, void *scratch, long long first, long long last)
{
    emulate_blocks(${step.entry}_thread, a, scratch, ${step.scratch}, ${step.threads}, first, last);
}
% end
