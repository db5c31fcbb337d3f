#include "sort.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "parallel.h"

namespace hyperfocal {
namespace {

constexpr int kMaxDigitBits = 13;  // 8192 counters of 4 bytes stay in the first-level cache

int64_t part_begin(int64_t count, int part, int parts) { return count * part / parts; }

}  // namespace

Buffer<uint32_t> sort_by_depth(const uint64_t* keys, const uint32_t* chunk_visible, int64_t n, int64_t visible,
                               int threads) {
    const int64_t chunks = (n + kChunk - 1) / kChunk;
    const int parts = static_cast<int>(std::clamp<int64_t>(visible / 4096, 1, threads));
    Buffer<uint64_t> from(visible), to(visible);
    Buffer<uint32_t> order(visible);

    // Close the gaps between chunks, and find the range of depths: it saves most passes of the sort.
    std::vector<int64_t> chunk_begin(static_cast<size_t>(chunks) + 1, 0);
    for (int64_t c = 0; c < chunks; ++c)
        chunk_begin[static_cast<size_t>(c) + 1] = chunk_begin[static_cast<size_t>(c)] + chunk_visible[c];
    std::vector<uint32_t> lows(static_cast<size_t>(parts), ~0u), highs(static_cast<size_t>(parts), 0);
    parallel_for(parts, parts, [&](int64_t part, int) {
        uint32_t low = ~0u, high = 0;
        for (int64_t c = part_begin(chunks, int(part), parts); c < part_begin(chunks, int(part) + 1, parts); ++c) {
            uint64_t* out = from.data() + chunk_begin[static_cast<size_t>(c)];
            const uint64_t* in = keys + c * kChunk;
            for (uint32_t i = 0; i < chunk_visible[c]; ++i) {
                out[i] = in[i];
                low = std::min(low, uint32_t(in[i] >> 32));
                high = std::max(high, uint32_t(in[i] >> 32));
            }
        }
        lows[static_cast<size_t>(part)] = low;
        highs[static_cast<size_t>(part)] = high;
    });
    const uint32_t low = *std::min_element(lows.begin(), lows.end());
    const uint32_t high = *std::max_element(highs.begin(), highs.end());
    const int bits = high > low ? std::bit_width(high - low) : 1;
    const int passes = (bits + kMaxDigitBits - 1) / kMaxDigitBits;
    const int digit_bits = (bits + passes - 1) / passes;
    const uint32_t digits = 1u << digit_bits;

    Buffer<uint32_t> counts(int64_t(parts) * digits);
    for (int pass = 0; pass < passes; ++pass) {
        const int shift = pass * digit_bits;
        const auto digit = [&](uint64_t key) { return (uint32_t(key >> 32) - low) >> shift & (digits - 1); };
        parallel_for(parts, parts, [&](int64_t part, int) {
            uint32_t* count = counts.data() + part * digits;
            std::fill(count, count + digits, 0);
            for (int64_t i = part_begin(visible, int(part), parts); i < part_begin(visible, int(part) + 1, parts); ++i)
                ++count[digit(from[i])];
        });
        uint32_t total = 0;
        for (uint32_t d = 0; d < digits; ++d) {
            for (int part = 0; part < parts; ++part) {
                uint32_t& count = counts[int64_t(part) * digits + d];
                total += std::exchange(count, total);
            }
        }
        const bool last = pass + 1 == passes;
        parallel_for(parts, parts, [&](int64_t part, int) {
            uint32_t* next = counts.data() + part * digits;
            for (int64_t i = part_begin(visible, int(part), parts); i < part_begin(visible, int(part) + 1, parts); ++i) {
                const uint64_t key = from[i];
                const uint32_t at = next[digit(key)]++;
                if (last) order[at] = uint32_t(key);
                else to[at] = key;
            }
        });
        std::swap(from, to);
    }
    return order;
}

Bins bin_by_tile(const Buffer<uint32_t>& order, const Box* boxes, int tiles_x, int tiles_y, int threads) {
    const int64_t visible = order.size(), tiles = int64_t(tiles_x) * tiles_y;
    // Each part holds a counter per tile: no more parts than their work is worth.
    const int parts = static_cast<int>(std::clamp<int64_t>(visible / (1024 + tiles), 1, threads));
    // Most Gaussians cover one to four tiles, and guessing how many costs more than the work: neither pass below asks.
    // Counting adds the four corners of each box, +1 -1 / -1 +1, to a grid one larger than the tiles; its running sum over
    // both axes is the number of boxes that cover each tile.
    const int64_t across = tiles_x + 1, corners = across * (tiles_y + 1);
    Buffer<uint32_t> counts(parts * corners);
    Buffer<Box> sorted(visible);
    parallel_for(parts, parts, [&](int64_t part, int) {
        uint32_t* count = counts.data() + part * corners;
        std::fill(count, count + corners, 0);
        for (int64_t i = part_begin(visible, int(part), parts); i < part_begin(visible, int(part) + 1, parts); ++i) {
            const Box box = boxes[order[i]];
            sorted[i] = box;
            ++count[box.y0 * across + box.x0];
            --count[box.y0 * across + box.x1];
            --count[box.y1 * across + box.x0];
            ++count[box.y1 * across + box.x1];
        }
        for (int64_t y = 0; y <= tiles_y; ++y) {
            for (int64_t x = 1; x < across; ++x) count[y * across + x] += count[y * across + x - 1];
            if (y > 0)
                for (int64_t x = 0; x < across; ++x) count[y * across + x] += count[(y - 1) * across + x];
        }
    });
    // From counts to the place of each part's next entry.
    Bins bins;
    bins.tile_start = Buffer<uint32_t>(tiles + 1);
    uint32_t total = 0;
    for (int y = 0; y < tiles_y; ++y) {
        for (int x = 0; x < tiles_x; ++x) {
            bins.tile_start[int64_t(y) * tiles_x + x] = total;
            for (int part = 0; part < parts; ++part) {
                uint32_t& count = counts[part * corners + y * across + x];
                total += std::exchange(count, total);
            }
        }
    }
    bins.tile_start[tiles] = total;
    // What a box of fewer than four tiles writes in vain goes behind the entries, by way of the grid's last corner, which
    // is no tile: for each part to a cache line of its own.
    constexpr uint32_t kLine = 16;
    bins.entries = Buffer<uint32_t>(int64_t(total) + kLine * (int64_t(parts) + 1));
    parallel_for(parts, parts, [&](int64_t part, int) {
        uint32_t* next = counts.data() + part * corners;
        uint32_t* entries = bins.entries.data();
        const int64_t nowhere = corners - 1;
        const uint32_t trash = total + kLine * (static_cast<uint32_t>(part) + 1);
        for (int64_t i = part_begin(visible, int(part), parts); i < part_begin(visible, int(part) + 1, parts); ++i) {
            const Box box = sorted[i];
            const uint32_t gaussian = order[i];
            const int64_t first = box.y0 * across + box.x0;
            const int wide = box.x1 - box.x0, high = box.y1 - box.y0;
            if (wide <= 2 && high <= 2) {
                next[nowhere] = trash;
                entries[next[first]++] = gaussian;
                const int64_t right = wide == 2 ? first + 1 : nowhere, below = high == 2 ? first + across : nowhere;
                const int64_t corner = wide == 2 && high == 2 ? first + across + 1 : nowhere;
                entries[next[right]] = gaussian;
                next[right] += wide == 2;
                entries[next[below]] = gaussian;
                next[below] += high == 2;
                entries[next[corner]] = gaussian;
                next[corner] += wide == 2 && high == 2;
                continue;
            }
            for (int y = box.y0; y < box.y1; ++y)
                for (int x = box.x0; x < box.x1; ++x) entries[next[y * across + x]++] = gaussian;
        }
    });
    return bins;
}

}  // namespace hyperfocal
