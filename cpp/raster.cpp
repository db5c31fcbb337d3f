#include "raster.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "parallel.h"
#include "sort.h"

namespace hyperfocal {
namespace {

int64_t chunks_of(int64_t n) { return (n + kChunk - 1) / kChunk; }
int64_t tiles_of(const ViewInputs& view) { return int64_t(view.tiles_x()) * view.tiles_y(); }

// One piece of scratch memory per thread, for the tile kernels.
struct Scratch {
    Buffer<unsigned char> bytes;
    explicit Scratch(int threads) : bytes(threads * kScratchBytes) {}
    void* of(int worker) { return bytes.data() + worker * kScratchBytes; }
};

void background_gradient(const ViewInputs& view, const ViewState& state, const float* d_color, float* out) {
    double total[3] = {};
    for (int y = 0; y < view.height; ++y) {
        for (int x = 0; x < view.width; ++x) {
            const int64_t tile = int64_t(y / kTile) * view.tiles_x() + x / kTile;
            const int block = y % kTile / kBlock * 8 + x % kTile / kBlock, lane = y % kBlock * kBlock + x % kBlock;
            const float remaining = state.transmittance[tile * kTilePixels + block * 16 + lane];
            for (int c = 0; c < 3; ++c) total[c] += remaining * d_color[3 * (int64_t(y) * view.width + x) + c];
        }
    }
    for (int c = 0; c < 3; ++c) out[c] = static_cast<float>(total[c]);
}

void camera_gradient(const ViewInputs& view, const Buffer<double>& chunk_sums, const CameraGradients& out) {
    double total[kCameraWords] = {};
    for (int64_t c = 0; c < chunks_of(view.n); ++c)
        for (int i = 0; i < kCameraWords; ++i) total[i] += chunk_sums[c * kCameraWords + i];
    // Colours see the camera's centre -W^T p, by which the gradient is minus that of the directions.
    const float* w = view.world_to_camera;
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) {
            total[kCameraMatrix + 4 * i + j] += double(w[4 * i + 3]) * total[kCameraDirection + j];
            total[kCameraMatrix + 4 * i + 3] += double(w[4 * i + j]) * total[kCameraDirection + j];
        }
    }
    if (out.world_to_camera) {
        for (int i = 0; i < 12; ++i) out.world_to_camera[i] = static_cast<float>(total[kCameraMatrix + i]);
        for (int i = 12; i < 16; ++i) out.world_to_camera[i] = 0.0f;
    }
    for (int i = 0; i < 2; ++i) {
        if (out.focal_px) out.focal_px[i] = static_cast<float>(total[kCameraFocal + i]);
        if (out.center_px) out.center_px[i] = static_cast<float>(total[kCameraCenter + i]);
    }
}

// The features' gradient of one chunk of Gaussians: their sums over tiles. No slab means that it is zero.
void sum_features(const ViewInputs& view, int64_t chunk, const ViewState& state, const float* slab,
                  const GaussianGradients& out) {
    const int channels = view.channels;
    const float* row = slab ? slab + int64_t(state.chunk_base[chunk]) * channels : nullptr;
    for (int64_t g = chunk * kChunk; g < std::min(view.n, (chunk + 1) * kChunk); ++g) {
        float* to = out.features + g * channels;
        if (!out.accumulate_features) std::fill(to, to + channels, 0.0f);
        for (uint32_t tile = 0; slab && tile < state.boxes[g].count(); ++tile, row += channels)
            for (int k = 0; k < channels; ++k) to[k] += row[k];
    }
}

}  // namespace

ViewState draw_view(const ViewInputs& view, const ViewImages& images, float* radii_px, int threads) {
    const Kernels& kernels = kernels_in_use();
    const int64_t chunks = chunks_of(view.n), tiles = tiles_of(view);
    ViewState state;
    state.rows = Buffer<Row>(view.n);
    state.boxes = Buffer<Box>(view.n);
    state.chunk_base = Buffer<uint32_t>(chunks + 1);
    Buffer<uint64_t> keys(view.n);
    Buffer<uint32_t> chunk_visible(chunks), chunk_tiles(chunks);
    const Projected projected = {state.rows.data(), state.boxes.data(),   radii_px,
                                 keys.data(),       chunk_visible.data(), chunk_tiles.data()};
    parallel_for(threads, chunks, [&](int64_t chunk, int) { kernels.project_chunk(view, chunk, projected); });

    int64_t visible = 0, pairs = 0;
    for (int64_t c = 0; c < chunks; ++c) {
        state.chunk_base[c] = static_cast<uint32_t>(pairs);
        visible += chunk_visible[c];
        pairs += chunk_tiles[c];
    }
    state.chunk_base[chunks] = static_cast<uint32_t>(pairs);
    if (pairs > INT32_MAX) throw std::length_error("The Gaussians of one view cover more than 2^31 tiles in all");

    const Buffer<uint32_t> order = sort_by_depth(keys.data(), chunk_visible.data(), view.n, visible, threads);
    Bins bins = bin_by_tile(order, state.boxes.data(), view.tiles_x(), view.tiles_y(), threads);
    state.tile_start = std::move(bins.tile_start);
    state.entries = std::move(bins.entries);
    state.masks = Buffer<uint64_t>(pairs);
    state.tile_used = Buffer<uint32_t>(tiles);
    state.transmittance = Buffer<float>(tiles * kTilePixels);

    const TileLists lists = state.lists();
    Scratch scratch(threads);
    parallel_for(threads, tiles, [&](int64_t tile, int worker) {
        kernels.draw_tile(view, int(tile), lists, images, scratch.of(worker));
        if (images.features) kernels.blend_features_tile(view, int(tile), lists, images.features, scratch.of(worker));
    });
    return state;
}

void weigh_view(const ViewInputs& view, const ViewState& state, const float* error_map, float* weight_sum,
                float* error_sum, int threads) {
    const Kernels& kernels = kernels_in_use();
    const int64_t entries = state.masks.size();
    Buffer<float> weights(entries), errors(error_map ? entries : 0);
    const TileLists lists = state.lists();
    Scratch scratch(threads);
    parallel_for(threads, tiles_of(view), [&](int64_t tile, int worker) {
        kernels.weigh_tile(view, int(tile), lists, error_map, {weights.data(), errors.data()}, scratch.of(worker));
    });
    // In the order of the tiles, so that the number of threads changes no bit.
    const auto add = [&](const Buffer<float>& sums, float* to) {
        if (!to) return;
        std::fill(to, to + view.n, 0.0f);
        for (int64_t i = 0; i < sums.size(); ++i) to[state.entries[i]] += sums[i];
    };
    add(weights, weight_sum);
    add(errors, error_sum);
}

void undraw_view(const ViewInputs& view, const ViewState& state, const ImageGradients& images,
                 const GaussianGradients& gaussians, const CameraGradients& camera, int threads) {
    const Kernels& kernels = kernels_in_use();
    const int64_t chunks = chunks_of(view.n);
    if (camera.background) {
        if (images.d_color) {
            background_gradient(view, state, images.d_color, camera.background);
        } else {
            std::memset(camera.background, 0, 3 * sizeof(float));
        }
    }
    Buffer<float> memory(16 * (int64_t(state.chunk_base[chunks]) + kSlabSlack));
    const Slab slab = memory.data();
    Buffer<float> feature_memory(images.d_features ? int64_t(state.chunk_base[chunks]) * view.channels : 0);
    if (images.any()) {
        const TileLists lists = state.lists();
        Scratch scratch(threads);
        parallel_for(threads, tiles_of(view), [&](int64_t tile, int worker) {
            kernels.undraw_tile(view, int(tile), lists, images, slab, feature_memory.data(), scratch.of(worker));
        });
    }
    const bool want_camera = camera.world_to_camera || camera.focal_px || camera.center_px;
    Buffer<double> chunk_sums(want_camera ? chunks * kCameraWords : 0);
    if (want_camera) std::memset(chunk_sums.data(), 0, sizeof(double) * static_cast<size_t>(chunks * kCameraWords));
    parallel_for(threads, chunks, [&](int64_t chunk, int) {
        kernels.unproject_chunk(view, chunk, state.boxes.data() + chunk * kChunk, state.chunk_base[chunk], slab, gaussians,
                                want_camera ? chunk_sums.data() + chunk * kCameraWords : nullptr);
        if (gaussians.features)
            sum_features(view, chunk, state, images.d_features ? feature_memory.data() : nullptr, gaussians);
    });
    if (want_camera) camera_gradient(view, chunk_sums, camera);
}

}  // namespace hyperfocal
