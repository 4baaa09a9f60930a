% include("templates/emulate.c.t", { name = "cuda_wgmma" })
