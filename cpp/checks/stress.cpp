// Runs random and degenerate scenes, and pictures with depth, through the whole core, without Python: for the sanitizers
// (.ci/sanitize), which know nothing of what Python and torch do, and for processors that are only emulated (RELEASING.md).
//
//     stress SCENES [nofork | write FILE | compare FILE]
//
// For every scene, picture and instruction set, the results must have the same bits with 1 to 8 threads, from two threads
// that call at once, and in a child forked while one of them is at work (`nofork` leaves it out, for emulators that do not
// bear it).
// `write` keeps the results of the baseline instruction set, `compare` says how far another build's are from these.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "buffer.h"
#include "isa.h"
#include "pictures.h"
#include "scenes.h"

using namespace hyperfocal;
using namespace hyperfocal::checks;

namespace {

using Results = std::vector<Result>;

// What the sanitizers' own runtimes do not bear in a forked child; the build without any checks it all. ThreadSanitizer ends
// a child that starts threads ("dup thread with used id"), so that it draws alone. Of AddressSanitizer's allocator another
// thread may hold a lock (g++ 12), so that the other caller rests meanwhile.
#ifdef __SANITIZE_THREAD__
constexpr int kChildThreads = 1;
#else
constexpr int kChildThreads = 3;
#endif
#ifdef __SANITIZE_ADDRESS__
constexpr bool kForkAtWork = false;
#else
constexpr bool kForkAtWork = true;
#endif

// What is checked is a Scene or a Picture.
template <class Subject>
[[noreturn]] void fail(const Subject& subject, uint64_t seed, const std::string& what) {
    std::fprintf(stderr, "number %llu (%s), %s: %s\n", static_cast<unsigned long long>(seed), subject.describe().c_str(),
                 simd_level_name(simd_level()), what.c_str());
    std::_Exit(1);
}

// What differs first, or nothing.
std::string difference(const Results& got, const Results& expected) {
    for (size_t i = 0; i < expected.size(); ++i) {
        const Floats &a = got[i].values, &b = expected[i].values;
        if (a.size() != b.size()) return got[i].name + " has another size";
        for (int64_t k = 0; k < a.size(); ++k) {
            if (std::bit_cast<uint32_t>(a[k]) == std::bit_cast<uint32_t>(b[k])) continue;
            return got[i].name + "[" + std::to_string(k) + "] is " + std::to_string(a[k]) + ", expected " +
                   std::to_string(b[k]);
        }
    }
    return "";
}

template <class Subject>
void must_agree(const Subject& subject, uint64_t seed, const Results& expected, int threads, const char* how) {
    const std::string found = difference(compute_all(subject, threads), expected);
    if (!found.empty()) fail(subject, seed, std::to_string(threads) + " threads" + how + ": " + found);
}

// An image is finite whatever the Gaussians are: what is not, is culled.
void must_be_right(const Scene& scene, uint64_t seed, const Results& results) {
    for (const Result& result : results)
        if (result.name == "color" || result.name == "alpha" || result.name == "features" ||
            result.name.starts_with("depth"))
            for (const float value : result.values)
                if (!std::isfinite(value)) fail(scene, seed, result.name + " is not finite");
}

// A picture is a mean of its lights whatever their depths are, and its gradients are finite.
void must_be_right(const Picture& picture, uint64_t seed, const Results& results) {
    const float most = picture.bright ? 1.001e6f : 1.001f;
    for (const Result& result : results) {
        const bool color = result.name == "color of layers", alpha = result.name == "alpha of layers";
        for (const float value : result.values) {
            if (!std::isfinite(value)) fail(picture, seed, result.name + " is not finite");
            if ((color && std::fabs(value) > most) || (alpha && (value < 0 || value > 1)))
                fail(picture, seed, result.name + " is " + std::to_string(value));
        }
    }
}

template <class Subject>
void must_agree_in_a_child(const Subject& subject, uint64_t seed, const Results& expected) {
#ifndef _WIN32
    const pid_t child = fork();
    if (child == 0) {
        must_agree(subject, seed, expected, kChildThreads, " in a forked child");
        std::_Exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) fail(subject, seed, "the forked child failed");
#else
    (void)subject, (void)seed, (void)expected;
#endif
}

template <class Subject>
void check(const Subject& subject, uint64_t seed, bool forks) {
    const Results expected = compute_all(subject, 1);
    must_be_right(subject, seed, expected);
    for (int threads = 2; threads <= 8; ++threads) must_agree(subject, seed, expected, threads, "");
    // Two callers at once: one of them has the pool, the other works alone. Memory changes hands between them, and in the
    // middle of it a child is forked and the store emptied.
    std::atomic<bool> stop{false};
    std::thread other([&] {
        do {
            must_agree(subject, seed, expected, 4, ", one of two callers");
        } while (!stop.load());
    });
    must_agree(subject, seed, expected, 3, ", the other caller");
    if (forks && kForkAtWork) must_agree_in_a_child(subject, seed, expected);
    release_memory();
    must_agree(subject, seed, expected, 2, ", the other caller again");
    stop.store(true);
    other.join();
    if (forks && !kForkAtWork) must_agree_in_a_child(subject, seed, expected);
}

// ---- Comparing builds ---------------------------------------------------------------------------------------------------

void write(std::FILE* file, const Results& results) {
    for (const Result& result : results)
        if (result.values.size())
            std::fwrite(result.values.data(), sizeof(float), static_cast<size_t>(result.values.size()), file);
}

struct Distance {
    int64_t values = 0, equal_bits = 0;
    double worst = 0;  // of a scene: norm of the difference over norm of the truth
};

void compare(std::FILE* file, const Results& results, std::map<std::string, Distance>& distances) {
    for (const Result& result : results) {
        Floats truth(result.values.size());
        if (truth.size() && std::fread(truth.data(), sizeof(float), static_cast<size_t>(truth.size()), file) !=
                                static_cast<size_t>(truth.size())) {
            std::fprintf(stderr, "the file ends early: was it written for as many scenes?\n");
            std::exit(1);
        }
        Distance& distance = distances[result.name];
        double apart = 0, length = 0;
        for (int64_t i = 0; i < truth.size(); ++i) {
            const float a = result.values[i], b = truth[i];
            ++distance.values;
            distance.equal_bits += std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
            if (!std::isfinite(a) || !std::isfinite(b)) continue;
            apart += (double(a) - b) * (double(a) - b);
            length += double(b) * b;
        }
        if (length > 0) distance.worst = std::max(distance.worst, std::sqrt(apart / length));
    }
}

}  // namespace

int main(int count, char** arguments) {
    const bool writes = count == 4 && !std::strcmp(arguments[2], "write");
    const bool compares = count == 4 && !std::strcmp(arguments[2], "compare");
    const bool nofork = count == 3 && !std::strcmp(arguments[2], "nofork");
    if (count != 2 && !writes && !compares && !nofork) {
        std::fprintf(stderr, "usage: stress SCENES [nofork | write FILE | compare FILE]\n");
        return 2;
    }
    const uint64_t scenes = std::strtoull(arguments[1], nullptr, 10);
    if (writes || compares) {
        set_simd_level("base");
        std::FILE* file = std::fopen(arguments[3], writes ? "wb" : "rb");
        if (!file) return std::perror(arguments[3]), 1;
        std::map<std::string, Distance> distances;
        const auto keep_or_compare = [&](const Results& results) {
            if (writes) write(file, results);
            else compare(file, results, distances);
        };
        for (uint64_t seed = 0; seed < scenes; ++seed) {
            keep_or_compare(compute_all(random_scene(seed), 2));
            keep_or_compare(compute_all(random_picture(seed), 2));
        }
        std::fclose(file);
        for (const auto& [name, d] : distances)
            std::printf("%-25s %9lld values, %6.2f %% with equal bits, worst scene %.1e apart\n", name.c_str(),
                        static_cast<long long>(d.values),
                        100.0 * double(d.equal_bits) / double(std::max<int64_t>(d.values, 1)), d.worst);
        return 0;
    }
    std::string levels;
    for (const char* level : {"base", "v3", "v4"}) {
        if (!set_simd_level(level)) continue;
        for (uint64_t seed = 0; seed < scenes; ++seed) {
            check(random_scene(seed), seed, !nofork);
            check(random_picture(seed), seed, !nofork);
        }
        levels += std::string(levels.empty() ? "" : ", ") + level;
    }
    std::printf("%llu scenes and as many pictures, instruction sets %s: the same bits for 1 to 8 threads, two callers%s\n",
                static_cast<unsigned long long>(scenes), levels.c_str(), nofork ? "" : " and a forked child");
}
