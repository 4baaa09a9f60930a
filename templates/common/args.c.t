% -- The argument struct. Comes in: slots. A tensor's pointer, and on the next line its strides.
struct args {
% for k, slot in ipairs(slots) do
%   if slot.kind ~= "stride" then
    ${slot.ctype}${slot.field};
%   elseif slots[k - 1].kind ~= "stride" then
%     local strides = {}
%     while slots[k + #strides] and slots[k + #strides].kind == "stride" do
%       strides[#strides + 1] = slots[k + #strides].field
%     end
    i64 ${table.concat(strides, ", ")};
%   end
% end
};
