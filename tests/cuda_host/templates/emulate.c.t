% -- The text of a schedule for GPUs and, for each of its kernels, a task function that runs blocks of it. Comes in: name.
% local gpu = require("templates.emulate").gpu_of(dev)
% local schedule = require("templates.forward." .. name)
% local kernels = {}
% for _, step in ipairs(schedule.steps(p, cfg, gpu, variant)) do
%   if step.entry then kernels[#kernels + 1] = step end
% end
% for _, step in ipairs(kernels) do
#define ${step.entry} ${step.entry}_kernel
% end
% include(schedule.template, { dev = gpu })
% for _, step in ipairs(kernels) do
#undef ${step.entry}

static void ${step.entry}_thread(const void *args) { ${step.entry}_kernel(*(const struct args *)args); }

extern "C" __attribute__((visibility("default"))) void ${step.entry}(const struct args *a, void *scratch, long long first, long long last)
{
    emulate_blocks(${step.entry}_thread, a, scratch, ${step.scratch}, ${step.threads}, first, last);
}
% end
