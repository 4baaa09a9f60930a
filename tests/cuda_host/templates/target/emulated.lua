-- CUDA's text for a processor: as for an H100.
return { new = function() return require("templates.target.cuda").new("sm_90") end }
