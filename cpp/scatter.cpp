// Scattering into bands of rows, and its transpose, gathering.
//
// What is scattered are differences along rows (layers.h), so a disc of diameter c costs a few additions a row, not c. They
// are summed in double: a running sum over a bright light and back must leave nothing behind it.
#include "layers.h"
#include "simd.h"

namespace hyperfocal::HYPERFOCAL_ISA {
namespace {

// Red, green, blue and weight.
#if defined(__GNUC__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
typedef double Four __attribute__((vector_size(32), aligned(32)));
HF_INLINE void add(double* to, double factor, const Four& value) {
    Four& sum = *reinterpret_cast<Four*>(to);
    sum = sum + factor * value;
}
HF_INLINE void add(Four& to, double factor, const double* value) { to = to + factor * *reinterpret_cast<const Four*>(value); }
#else
struct Four {
    double e[4];
    double& operator[](int i) { return e[i]; }
    double operator[](int i) const { return e[i]; }
};
HF_INLINE void add(double* to, double factor, const Four& value) {
    for (int i = 0; i < 4; ++i) to[i] += factor * value.e[i];
}
HF_INLINE void add(Four& to, double factor, const double* value) {
    for (int i = 0; i < 4; ++i) to.e[i] += factor * value[i];
}
#endif

HF_INLINE int least(int a, int b) { return a < b ? a : b; }
HF_INLINE int most(int a, int b) { return a > b ? a : b; }
// The column at which a difference takes effect: those left of the picture do so at its edge, those right of it never.
HF_INLINE int column(int x, int width) { return least(most(x, 0), width); }

constexpr double kNothing = 1e-9;  // a weight that fills no pixel

}  // namespace

void scatter_band(const LayerSources& sources, const Stencils& stencils, const LayerLists& lists,
                  const LayerPicture& picture, int begin, int end, double* scratch) {
    const int width = sources.width, rows = end - begin;
    const int64_t pitch = 4 * (int64_t(width) + 1);
    double* const differences = scratch;
    double* const sums = differences + rows * pitch;  // [rows, width, 4] of the layers so far
    int* const touched = reinterpret_cast<int*>(sums + int64_t(rows) * width * 4);  // [rows, 2] columns, first and end
    for (int64_t i = 0; i < rows * pitch; ++i) differences[i] = 0;
    for (int64_t i = 0; i < int64_t(rows) * width * 4; ++i) sums[i] = 0;
    for (int64_t i = int64_t(begin) * width; i < int64_t(end) * width; ++i) {
        float* const state = picture.state + i * kStateWords;
        state[kFullLayer] = -1;
        for (int k = kFullShare; k < kStateWords; ++k) state[k] = 0;
    }

    for (int layer = sources.layers - 1; layer >= 0; --layer) {
        for (int r = 0; r < rows; ++r) touched[2 * r] = width, touched[2 * r + 1] = 0;
        for (int y = 0; y < sources.height; ++y) {
            const int64_t list = int64_t(y) * sources.layers + layer;
            const int far = lists.reach[list];
            if (far < 0 || y + far < begin || y - far >= end) continue;
            const LayerEntry* const entries = lists.entries;
            for (int64_t i = lists.start[list]; i < lists.start[list + 1]; ++i) {
                const LayerEntry entry = entries[i];
                const int reach = stencils.reach[entry.interval];
                const int first = most(begin, y - reach), last = least(end - 1, y + reach);
                if (first > last || entry.weight == 0) continue;
                const float* const color =
                    sources.color + 3 * ((int64_t(entry.plane) * sources.height + y) * width + entry.x);
                const double weight = entry.weight, fraction = entry.fraction;
                const Four value = {weight * color[0], weight * color[1], weight * color[2], weight};
                const int32_t* const row_start = stencils.row_start + stencils.first_row[entry.interval] + reach - y;
                for (int row = first; row <= last; ++row) {
                    double* const line = differences + (row - begin) * pitch;
                    const int32_t row_end = row_start[row + 1];
                    for (int32_t e = row_start[row]; e < row_end; ++e)
                        add(line + 4 * column(entry.x + stencils.dx[e], width),
                            stencils.base[e] + fraction * stencils.slope[e], value);
                    int* const range = touched + 2 * (row - begin);
                    range[0] = least(range[0], most(entry.x - reach, 0));
                    range[1] = most(range[1], least(entry.x + reach + 2, width + 1));
                }
            }
        }
        for (int r = 0; r < rows; ++r) {
            Four running = {0, 0, 0, 0};
            for (int x = touched[2 * r]; x < touched[2 * r + 1]; ++x) {
                double* const here = differences + r * pitch + 4 * x;
                add(running, 1.0, here);
                for (int k = 0; k < 4; ++k) here[k] = 0;
                if (x == width) break;
                double* const sum = sums + (int64_t(r) * width + x) * 4;
                const double room = kFull - sum[3];
                if (running[3] <= room) {
                    add(sum, 1.0, running);
                } else if (room > 0 && running[3] > kNothing) {
                    const double share = room / running[3];
                    add(sum, share, running);
                    sum[3] = kFull;
                    float* const state = picture.state + ((int64_t(begin) + r) * width + x) * kStateWords;
                    state[kFullLayer] = float(layer);
                    state[kFullShare] = float(share);
                    for (int k = 0; k < 3; ++k) state[kFullRed + k] = float(running[k] / running[3]);
                }
            }
        }
    }

    for (int64_t i = 0; i < int64_t(rows) * width; ++i) {
        const int64_t pixel = int64_t(begin) * width + i;
        const double* const sum = sums + 4 * i;
        const double total = sum[3] > kNothing ? sum[3] : 0;
        for (int k = 0; k < 3; ++k) picture.color[3 * pixel + k] = total > 0 ? float(sum[k] / total) : 0.0f;
        picture.alpha[pixel] = total < 1 ? float(total) : 1.0f;
        picture.state[pixel * kStateWords + kSum] = float(total);
    }
}

namespace {

// What one unit of a layer's light (or weight) at a pixel changes the loss by, times that of the pixel to the right, and so on: running
// sums from the right, so that a difference in a row's stencil meets the sum of all that it moves.
void sum_gradients(const LayerSources& sources, const LayerPicture& picture, const LayerGradients& gradients, int row,
                   int layer, double* line) {
    Four running = {0, 0, 0, 0};
    const int width = sources.width;
    for (int k = 0; k < 4; ++k) line[4 * int64_t(width) + k] = 0;
    for (int x = width - 1; x >= 0; --x) {
        const int64_t pixel = int64_t(row) * width + x;
        const float* const state = picture.state + pixel * kStateWords;
        const double full = state[kFullLayer], total = state[kSum];
        if (total > 0 && layer >= full) {
            const double share = layer == full ? double(state[kFullShare]) : 1.0, factor = share / total;
            const float* const color = full < 0 ? picture.color + 3 * pixel : state + kFullRed;
            Four gradient = {0, 0, 0, 0};
            if (gradients.d_color) {
                for (int k = 0; k < 3; ++k) {
                    gradient[k] = factor * gradients.d_color[3 * pixel + k];
                    gradient[3] -= gradient[k] * color[k];
                }
            }
            if (gradients.d_alpha && full < 0 && total < 1) gradient[3] += gradients.d_alpha[pixel];
            for (int k = 0; k < 4; ++k) running[k] += gradient[k];
        }
        for (int k = 0; k < 4; ++k) line[4 * x + k] = running[k];
    }
}

}  // namespace

void gather_band(const LayerSources& sources, const Stencils& stencils, const LayerLists& lists,
                 const LayerPicture& picture, const LayerGradients& gradients, int begin, int end, int most_reach,
                 double* scratch) {
    const int width = sources.width;
    const int64_t pitch = 4 * (int64_t(width) + 1);
    const int from = most(0, begin - most_reach), to = least(sources.height, end + most_reach);
    double* const lines = scratch;
    int* const ready = reinterpret_cast<int*>(lines + (to - from) * pitch);  // the layer whose sums a line holds
    for (int row = from; row < to; ++row) ready[row - from] = -1;

    // The nearest layer first: with a source's second share (of the layer before it) its gradients are complete.
    for (int layer = sources.layers - 1; layer >= 0; --layer) {
        for (int y = begin; y < end; ++y) {
            const int64_t list = int64_t(y) * sources.layers + layer;
            const int far = lists.reach[list];
            if (far < 0) continue;
            for (int row = most(0, y - far); row <= least(sources.height - 1, y + far); ++row) {
                if (ready[row - from] == layer) continue;
                sum_gradients(sources, picture, gradients, row, layer, lines + (row - from) * pitch);
                ready[row - from] = layer;
            }
            for (int64_t i = lists.start[list]; i < lists.start[list + 1]; ++i) {
                const LayerEntry entry = lists.entries[i];
                const int reach = stencils.reach[entry.interval];
                const int first = most(0, y - reach), last = least(sources.height - 1, y + reach);
                const int32_t* const row_start = stencils.row_start + stencils.first_row[entry.interval] + reach - y;
                Four base = {0, 0, 0, 0}, slope = {0, 0, 0, 0};
                for (int row = first; row <= last; ++row) {
                    const double* const line = lines + (row - from) * pitch;
                    const int32_t row_end = row_start[row + 1];
                    for (int32_t e = row_start[row]; e < row_end; ++e) {
                        const double* const sum = line + 4 * column(entry.x + stencils.dx[e], width);
                        add(base, stencils.base[e], sum);
                        add(slope, stencils.slope[e], sum);
                    }
                }
                const int64_t source = (int64_t(entry.plane) * sources.height + y) * width + entry.x;
                const float* const color = sources.color + 3 * source;
                double of_weight = 0, of_fraction = 0;
                for (int k = 0; k < 4; ++k) {
                    const double value = k < 3 ? double(color[k]) : 1.0;
                    const double sum = base[k] + double(entry.fraction) * slope[k];
                    of_weight += value * sum;
                    of_fraction += value * slope[k];
                    if (k < 3) gradients.color[3 * source + k] += float(double(entry.weight) * sum);
                }
                gradients.level[source] += float(double(entry.weight) * of_fraction);
                // The share of the nearer layer grows with the source's place, that of the farther one falls.
                if (sources.layers == 1) continue;
                const bool nearer = layer > least(int(sources.layer[source]), sources.layers - 2);
                gradients.layer[source] += float(nearer ? of_weight : -of_weight);
            }
        }
    }
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
