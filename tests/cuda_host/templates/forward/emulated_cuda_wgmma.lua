return require("templates.emulate").schedule "cuda_wgmma"
