-- Rows of tiles in shared memory, in chunks of 16 bytes. Eight rows' chunks are in different banks where the pitch is
-- odd, or, for whole lines of 128 bytes of 16-bit elements, where a row's chunks are permuted by its number.

local chunks = {}

-- A row of so many columns, in whole steps of a product: chunks, those from one row to the next, whether permuted.
function chunks.row(columns, size)
  local count = ceildiv(columns, 16) * size
  local swizzled = size == 2 and count % 8 == 0
  return { chunks = count, pitch = swizzled and count or count | 1, swizzled = swizzled }
end

-- A row as products of warpgroups take it: lines of 64 16-bit elements, the columns from 64 on in a panel of their own.
function chunks.panels(columns, rows)
  return { chunks = ceildiv(columns, 64) * 8, pitch = 8, swizzled = true, panel = 128 * rows }
end

-- Where a chunk of a row is.
function chunks.at(row, r, chunk)
  if row.panel then return ("(%s) * 128 + (((%s) ^ (%s)) & 7) * 16 + (%s) / 8 * %d"):format(r, chunk, r, chunk, row.panel) end
  if row.swizzled then return ("(%s) * %d + (((%s) ^ (%s) & 7) << 4)"):format(r, 16 * row.pitch, chunk, r) end
  return ("(%s) * %d + (%s) * 16"):format(r, 16 * row.pitch, chunk)
end

-- One that is `n` chunks (even) further on in the same row.
function chunks.further(row, base, n)
  if row.swizzled then return ("(%s ^ ((%s) & 7) << 4) + ((%s) >> 3) * 128"):format(base, n, n) end
  return ("%s + (%s) * 16"):format(base, n)
end

return chunks
