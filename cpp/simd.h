// Sixteen floats (F16), sixteen int32 (I16) and a lane mask (M16), whatever the processor: one 512-bit register, two
// 256-bit ones or four 128-bit ones. Written with GCC's and Clang's vector extensions, and intrinsics only where those
// cannot say it; plain arrays serve compilers without the extensions (define HYPERFOCAL_PLAIN_VECTORS to try them).
//
// Everything is in the namespace of the instruction set (isa.h) and always inlined.
#pragma once

#include <cstdint>
#include <cstring>

#if !defined(__GNUC__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
#define HYPERFOCAL_PLAIN_VECTORS
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define HYPERFOCAL_X86
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
#define HYPERFOCAL_AVX512
#endif

#ifdef __GNUC__
#define HF_INLINE inline __attribute__((always_inline))
#define HF_UNROLL _Pragma("GCC unroll 16")
#else
#define HF_INLINE __forceinline
#define HF_UNROLL
#endif

namespace hyperfocal::HYPERFOCAL_ISA {

constexpr int kLanes = 16;

// ---- The register of the processor at hand ----------------------------------------------------------------------
#if defined(HYPERFOCAL_PLAIN_VECTORS)
constexpr int kNative = 4;
#elif defined(HYPERFOCAL_AVX512)
constexpr int kNative = 16;
#elif defined(__AVX2__)
constexpr int kNative = 8;
#else
constexpr int kNative = 4;
#endif
constexpr int kRegisters = kLanes / kNative;

#ifndef HYPERFOCAL_PLAIN_VECTORS
typedef float NativeF __attribute__((vector_size(4 * kNative)));
typedef int32_t NativeI __attribute__((vector_size(4 * kNative)));
typedef uint32_t NativeU __attribute__((vector_size(4 * kNative)));
#else
struct NativeI {
    int32_t e[kNative];
};
struct NativeF {
    float e[kNative];
};
#define HF_LANEWISE(result, type, operation, expression)               \
    HF_INLINE result operator operation(const type& a, const type& b) { \
        result r;                                                       \
        for (int i = 0; i < kNative; ++i) r.e[i] = expression;          \
        return r;                                                       \
    }
HF_LANEWISE(NativeF, NativeF, +, a.e[i] + b.e[i])
HF_LANEWISE(NativeF, NativeF, -, a.e[i] - b.e[i])
HF_LANEWISE(NativeF, NativeF, *, a.e[i] * b.e[i])
HF_LANEWISE(NativeF, NativeF, /, a.e[i] / b.e[i])
HF_LANEWISE(NativeI, NativeF, <, -int32_t(a.e[i] < b.e[i]))
HF_LANEWISE(NativeI, NativeF, <=, -int32_t(a.e[i] <= b.e[i]))
HF_LANEWISE(NativeI, NativeI, +, int32_t(uint32_t(a.e[i]) + uint32_t(b.e[i])))
HF_LANEWISE(NativeI, NativeI, -, int32_t(uint32_t(a.e[i]) - uint32_t(b.e[i])))
HF_LANEWISE(NativeI, NativeI, *, int32_t(uint32_t(a.e[i]) * uint32_t(b.e[i])))
HF_LANEWISE(NativeI, NativeI, &, a.e[i] & b.e[i])
HF_LANEWISE(NativeI, NativeI, |, a.e[i] | b.e[i])
HF_LANEWISE(NativeI, NativeI, ^, a.e[i] ^ b.e[i])
HF_LANEWISE(NativeI, NativeI, <<, int32_t(uint32_t(a.e[i]) << b.e[i]))
#undef HF_LANEWISE
HF_INLINE NativeI operator~(const NativeI& a) {
    NativeI r;
    for (int i = 0; i < kNative; ++i) r.e[i] = ~a.e[i];
    return r;
}
#endif

struct F16 {
    NativeF r[kRegisters];
};
struct I16 {
    NativeI r[kRegisters];
};
#ifdef HYPERFOCAL_AVX512
struct M16 {
    __mmask16 bits;
};
#else
struct M16 {
    NativeI r[kRegisters];  // -1 where true, 0 where false
};
#endif

#define HF_EACH HF_UNROLL for (int i = 0; i < kRegisters; ++i)

// ---- Loads, stores, reinterpretation ------------------------------------------------------------------------------
// One register at a time: compilers move a whole F16 of several registers through the stack (measured: 4.5 times slower).
HF_INLINE F16 load(const float* from) {
    F16 x;
    HF_EACH std::memcpy(&x.r[i], from + i * kNative, sizeof x.r[i]);
    return x;
}
HF_INLINE I16 load(const int32_t* from) {
    I16 x;
    HF_EACH std::memcpy(&x.r[i], from + i * kNative, sizeof x.r[i]);
    return x;
}
HF_INLINE void store(float* to, F16 x) { HF_EACH std::memcpy(to + i * kNative, &x.r[i], sizeof x.r[i]); }
HF_INLINE void store(int32_t* to, I16 x) { HF_EACH std::memcpy(to + i * kNative, &x.r[i], sizeof x.r[i]); }

// Past the cache, for what is not read again soon. `to` must lie on a 64-byte boundary; fence_streams() before another
// thread reads it.
HF_INLINE void stream(float* to, F16 x) {
#if defined(HYPERFOCAL_AVX512)
    _mm512_stream_ps(to, __m512(x.r[0]));
#elif defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH _mm256_stream_ps(to + i * kNative, __m256(x.r[i]));
#elif defined(HYPERFOCAL_X86) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH _mm_stream_ps(to + i * kNative, __m128(x.r[i]));
#else
    store(to, x);
#endif
}
HF_INLINE void fence_streams() {
#ifdef HYPERFOCAL_X86
    _mm_sfence();
#endif
}
HF_INLINE void prefetch(const void* address) {
#ifdef __GNUC__
    __builtin_prefetch(address);
#else
    (void)address;
#endif
}

HF_INLINE F16 splat(float value) {
    F16 x;
#ifndef HYPERFOCAL_PLAIN_VECTORS
    HF_EACH x.r[i] = value - NativeF{};
#else
    HF_EACH for (int j = 0; j < kNative; ++j) x.r[i].e[j] = value;
#endif
    return x;
}
HF_INLINE I16 splat(int32_t value) {
    I16 x;
#ifndef HYPERFOCAL_PLAIN_VECTORS
    HF_EACH x.r[i] = value + NativeI{};
#else
    HF_EACH for (int j = 0; j < kNative; ++j) x.r[i].e[j] = value;
#endif
    return x;
}
HF_INLINE I16 bits_of(F16 x) {
    I16 y;
    HF_EACH std::memcpy(&y.r[i], &x.r[i], sizeof y.r[i]);
    return y;
}
HF_INLINE F16 float_of_bits(I16 x) {
    F16 y;
    HF_EACH std::memcpy(&y.r[i], &x.r[i], sizeof y.r[i]);
    return y;
}

// condition (0 or 1) ? load(from) : 0, without a branch.
HF_INLINE F16 load_if(uint32_t condition, const float* from) {
#ifdef HYPERFOCAL_AVX512
    return {{NativeF(_mm512_maskz_loadu_ps(__mmask16(0u - condition), from))}};
#else
    I16 bits = bits_of(load(from));
    const I16 keep = splat(-int32_t(condition));
    for (int i = 0; i < kRegisters; ++i) bits.r[i] = bits.r[i] & keep.r[i];
    return float_of_bits(bits);
#endif
}

// ---- Arithmetic -----------------------------------------------------------------------------------------------------
#define HF_BINARY(type, operation)                        \
    HF_INLINE type operator operation(type a, type b) {   \
        type x;                                           \
        HF_EACH x.r[i] = a.r[i] operation b.r[i];         \
        return x;                                         \
    }
HF_BINARY(F16, +)
HF_BINARY(F16, -)
HF_BINARY(F16, *)
HF_BINARY(F16, /)
HF_BINARY(I16, &)
HF_BINARY(I16, |)
HF_BINARY(I16, ^)
HF_BINARY(I16, <<)
#undef HF_BINARY
// These wrap around, which of signed numbers only the processor promises, not the language: hashes and the bits of lanes
// that hold no number are meant to.
#ifdef HYPERFOCAL_PLAIN_VECTORS
typedef NativeI NativeU;  // whose operators wrap
#endif
#define HF_WRAPPING(operation)                                                       \
    HF_INLINE I16 operator operation(I16 a, I16 b) {                                 \
        I16 x;                                                                       \
        HF_EACH x.r[i] = NativeI(NativeU(a.r[i]) operation NativeU(b.r[i]));         \
        return x;                                                                    \
    }
HF_WRAPPING(+)
HF_WRAPPING(-)
HF_WRAPPING(*)
#undef HF_WRAPPING
// x >> n as if x were unsigned.
HF_INLINE I16 shift_right(I16 x, int n) {
    const I16 kept = splat(int32_t(0xFFFFFFFFu >> n));
#ifndef HYPERFOCAL_PLAIN_VECTORS
    HF_EACH x.r[i] = x.r[i] >> n;
#else
    HF_EACH for (int j = 0; j < kNative; ++j) x.r[i].e[j] >>= n;
#endif
    return x & kept;
}
HF_INLINE F16 operator*(float a, F16 b) { return splat(a) * b; }
HF_INLINE F16 operator-(F16 a) { return splat(0.0f) - a; }
HF_INLINE F16& operator+=(F16& a, F16 b) { return a = a + b; }
HF_INLINE F16& operator-=(F16& a, F16 b) { return a = a - b; }
HF_INLINE F16& operator*=(F16& a, F16 b) { return a = a * b; }

// a * b + c, rounded once where the processor can.
HF_INLINE F16 fma(F16 a, F16 b, F16 c) {
    F16 x;
#if defined(HYPERFOCAL_AVX512)
    x.r[0] = NativeF(_mm512_fmadd_ps(__m512(a.r[0]), __m512(b.r[0]), __m512(c.r[0])));
#elif defined(__FMA__) && defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH x.r[i] = NativeF(_mm256_fmadd_ps(__m256(a.r[i]), __m256(b.r[i]), __m256(c.r[i])));
#elif defined(__aarch64__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH for (int j = 0; j < kNative; ++j) x.r[i][j] = __builtin_fmaf(a.r[i][j], b.r[i][j], c.r[i][j]);
#else
    HF_EACH x.r[i] = a.r[i] * b.r[i] + c.r[i];
#endif
    return x;
}
// c - a * b
HF_INLINE F16 fnma(F16 a, F16 b, F16 c) {
    F16 x;
#if defined(HYPERFOCAL_AVX512)
    x.r[0] = NativeF(_mm512_fnmadd_ps(__m512(a.r[0]), __m512(b.r[0]), __m512(c.r[0])));
#elif defined(__FMA__) && defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH x.r[i] = NativeF(_mm256_fnmadd_ps(__m256(a.r[i]), __m256(b.r[i]), __m256(c.r[i])));
#else
    x = fma(-a, b, c);
#endif
    return x;
}

// ---- Masks ----------------------------------------------------------------------------------------------------------
#ifdef HYPERFOCAL_AVX512

HF_INLINE M16 operator<(F16 a, F16 b) {
    return {_mm512_cmp_ps_mask(__m512(a.r[0]), __m512(b.r[0]), _CMP_LT_OQ)};
}
HF_INLINE M16 operator<=(F16 a, F16 b) {
    return {_mm512_cmp_ps_mask(__m512(a.r[0]), __m512(b.r[0]), _CMP_LE_OQ)};
}
HF_INLINE M16 operator&(M16 a, M16 b) { return {__mmask16(a.bits & b.bits)}; }
HF_INLINE M16 operator|(M16 a, M16 b) { return {__mmask16(a.bits | b.bits)}; }
HF_INLINE M16 operator!(M16 a) { return {__mmask16(~a.bits)}; }
HF_INLINE M16 mask_of_bits(uint32_t bits) { return {__mmask16(bits)}; }
HF_INLINE uint32_t bits_of(M16 m) { return m.bits; }
HF_INLINE bool any(M16 m) { return m.bits != 0; }
HF_INLINE F16 select(M16 m, F16 yes, F16 no) {
    return {{NativeF(_mm512_mask_blend_ps(m.bits, __m512(no.r[0]), __m512(yes.r[0])))}};
}
HF_INLINE I16 select(M16 m, I16 yes, I16 no) {
    return {{NativeI(_mm512_mask_blend_epi32(m.bits, __m512i(no.r[0]), __m512i(yes.r[0])))}};
}
HF_INLINE F16 zero_unless(M16 m, F16 a) { return {{NativeF(_mm512_maskz_mov_ps(m.bits, __m512(a.r[0])))}}; }
HF_INLINE F16 min(F16 a, F16 b) { return {{NativeF(_mm512_min_ps(__m512(a.r[0]), __m512(b.r[0])))}}; }
HF_INLINE F16 max(F16 a, F16 b) { return {{NativeF(_mm512_max_ps(__m512(a.r[0]), __m512(b.r[0])))}}; }
HF_INLINE F16 sqrt(F16 a) { return {{NativeF(_mm512_sqrt_ps(__m512(a.r[0])))}}; }
HF_INLINE I16 round_to_int(F16 a) { return {{NativeI(_mm512_cvtps_epi32(__m512(a.r[0])))}}; }
HF_INLINE F16 to_float(I16 a) { return {{NativeF(_mm512_cvtepi32_ps(__m512i(a.r[0])))}}; }
HF_INLINE F16 floor(F16 a) {
    return {{NativeF(_mm512_roundscale_ps(__m512(a.r[0]), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC))}};
}

#else

HF_INLINE M16 operator<(F16 a, F16 b) {
    M16 m;
    HF_EACH m.r[i] = NativeI(a.r[i] < b.r[i]);
    return m;
}
HF_INLINE M16 operator<=(F16 a, F16 b) {
    M16 m;
    HF_EACH m.r[i] = NativeI(a.r[i] <= b.r[i]);
    return m;
}
HF_INLINE M16 operator&(M16 a, M16 b) {
    HF_EACH a.r[i] = a.r[i] & b.r[i];
    return a;
}
HF_INLINE M16 operator|(M16 a, M16 b) {
    HF_EACH a.r[i] = a.r[i] | b.r[i];
    return a;
}
HF_INLINE M16 operator!(M16 a) {
    HF_EACH a.r[i] = ~a.r[i];
    return a;
}
HF_INLINE M16 mask_of_bits(uint32_t bits) {
    int32_t lanes[kLanes];
    for (int i = 0; i < kLanes; ++i) lanes[i] = -int32_t(bits >> i & 1);
    M16 m;
    std::memcpy(&m, lanes, sizeof m);
    return m;
}
HF_INLINE uint32_t bits_of(M16 m) {
    uint32_t bits = 0;
#if defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH bits |= uint32_t(_mm256_movemask_ps(__m256(m.r[i]))) << (i * kNative);
#elif defined(HYPERFOCAL_X86) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH bits |= uint32_t(_mm_movemask_ps(__m128(m.r[i]))) << (i * kNative);
#else
    int32_t lanes[kLanes];
    std::memcpy(lanes, &m, sizeof m);
    for (int i = 0; i < kLanes; ++i) bits |= uint32_t(lanes[i] & 1) << i;
#endif
    return bits;
}
HF_INLINE bool any(M16 m) { return bits_of(m) != 0; }
HF_INLINE I16 select(M16 m, I16 yes, I16 no) {
    I16 x;
    HF_EACH x.r[i] = (m.r[i] & yes.r[i]) | (~m.r[i] & no.r[i]);
    return x;
}
HF_INLINE F16 select(M16 m, F16 yes, F16 no) { return float_of_bits(select(m, bits_of(yes), bits_of(no))); }
HF_INLINE F16 zero_unless(M16 m, F16 a) {
    I16 x = bits_of(a);
    HF_EACH x.r[i] = x.r[i] & m.r[i];
    return float_of_bits(x);
}
// As x86 defines them: the second operand where either is NaN.
HF_INLINE F16 min(F16 a, F16 b) {
#if defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH a.r[i] = NativeF(_mm256_min_ps(__m256(a.r[i]), __m256(b.r[i])));
    return a;
#elif defined(HYPERFOCAL_X86) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH a.r[i] = NativeF(_mm_min_ps(__m128(a.r[i]), __m128(b.r[i])));
    return a;
#else
    return select(a < b, a, b);
#endif
}
HF_INLINE F16 max(F16 a, F16 b) {
#if defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH a.r[i] = NativeF(_mm256_max_ps(__m256(a.r[i]), __m256(b.r[i])));
    return a;
#elif defined(HYPERFOCAL_X86) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH a.r[i] = NativeF(_mm_max_ps(__m128(a.r[i]), __m128(b.r[i])));
    return a;
#else
    return select(b < a, a, b);
#endif
}
HF_INLINE F16 sqrt(F16 a) {
#if defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH a.r[i] = NativeF(_mm256_sqrt_ps(__m256(a.r[i])));
#elif defined(HYPERFOCAL_X86) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH a.r[i] = NativeF(_mm_sqrt_ps(__m128(a.r[i])));
#else
    float lanes[kLanes];
    store(lanes, a);
    for (int i = 0; i < kLanes; ++i) lanes[i] = __builtin_sqrtf(lanes[i]);
    a = load(lanes);
#endif
    return a;
}
// For |a| < 2^22: adding 1.5 * 2^23 leaves the rounded integer in the low bits.
HF_INLINE I16 round_to_int(F16 a) {
    return bits_of(a + splat(12582912.0f)) - splat(int32_t(0x4B400000));
}
HF_INLINE F16 to_float(I16 a) {
    return float_of_bits(a + splat(int32_t(0x4B400000))) - splat(12582912.0f);
}
HF_INLINE F16 floor(F16 a) {
    const F16 rounded = (a + splat(12582912.0f)) - splat(12582912.0f);
    return rounded - zero_unless(a < rounded, splat(1.0f));
}

#endif  // HYPERFOCAL_AVX512

// m ? a + b : a
HF_INLINE F16 add_where(M16 m, F16 a, F16 b) {
#ifdef HYPERFOCAL_AVX512
    return {{NativeF(_mm512_mask_add_ps(__m512(a.r[0]), m.bits, __m512(a.r[0]), __m512(b.r[0])))}};
#else
    return a + zero_unless(m, b);
#endif
}
// m ? c - a * b : 0
HF_INLINE F16 fnma_or_zero(M16 m, F16 a, F16 b, F16 c) {
#ifdef HYPERFOCAL_AVX512
    return {{NativeF(_mm512_maskz_fnmadd_ps(m.bits, __m512(a.r[0]), __m512(b.r[0]), __m512(c.r[0])))}};
#else
    return zero_unless(m, fnma(a, b, c));
#endif
}
HF_INLINE M16 operator==(F16 a, F16 b) { return (a <= b) & (b <= a); }
HF_INLINE M16 operator>(F16 a, F16 b) { return b < a; }
HF_INLINE M16 operator>=(F16 a, F16 b) { return b <= a; }
HF_INLINE F16 clamp(F16 a, F16 low, F16 high) { return min(max(a, low), high); }

// ---- Functions ------------------------------------------------------------------------------------------------------

// m ? 2^x : 0, for x in [-126, 1] where m. Relative error 4e-7 with AVX-512, else 2.6e-6.
HF_INLINE F16 exp2_where(M16 m, F16 x) {
#ifdef HYPERFOCAL_AVX512
    // 2^x = 2^(n / 16) 2^f with |f| <= 1/32: a register holds the table of 2^(j / 16), and its lookup, the shift and the
    // addition of the exponent run beside the multipliers, which are what the tile kernels wait for.
    alignas(64) static const uint32_t table[16] = {
        // the bits of float(2^(j / 16)) less j << 19, which n << 19 brings along
        0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
        0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};
    const F16 magic = splat(786432.0f);  // 1.5 * 2^19: the sum's last bit is 1/16
    const F16 shifted = x + magic;
    const F16 f = x - (shifted - magic);
    const __m512i n = _mm512_castps_si512(__m512(shifted.r[0]));
    const __m512i root = _mm512_permutexvar_epi32(n, _mm512_load_si512(table));
    const __m512 scale = _mm512_castsi512_ps(_mm512_add_epi32(root, _mm512_slli_epi32(n, 19)));
    // Minimax of (2^f - 1) / f.
    const F16 rise = f * fma(f, splat(0.24022650718688965f), splat(0.6931878328323364f));
    return {{NativeF(_mm512_maskz_fmadd_ps(m.bits, __m512(rise.r[0]), scale, scale))}};
#else
    // The minimax polynomial of degree 4 for 2^f, f in [-0.5, 0.5], found with Remez's exchange.
    constexpr float c0 = 0.9999992847442627f, c1 = 0.6931217908859253f, c2 = 0.240247443318367f,
                    c3 = 0.05591785907745361f, c4 = 0.009570102207362652f;
    const F16 magic = splat(12582912.0f);
    const F16 shifted = x + magic;
    const F16 f = x - (shifted - magic);
    const F16 y = fma(fma(fma(fma(splat(c4), f, splat(c3)), f, splat(c2)), f, splat(c1)), f, splat(c0));
    return zero_unless(m, float_of_bits(bits_of(y) + (bits_of(shifted) << splat(int32_t(23)))));
#endif
}

// log2(x) for normal positive x, to float precision: the series of 2 artanh((m - 1) / (m + 1)), m in [0.7, 1.41].
HF_INLINE F16 log2(F16 x) {
    // Subtracting sqrt(1/2)'s bits puts the exponent's step at sqrt(2), so that the mantissa straddles 1.
    const I16 bits = bits_of(x) - splat(int32_t(0x3F3504F3));
    const I16 exponent_bits = bits & splat(int32_t(0xFF800000u));
    const F16 mantissa = float_of_bits(bits_of(x) - exponent_bits);
    // exponent_bits = e * 2^23 exactly, and its float conversion is exact.
    I16 exponent = exponent_bits;
#ifdef HYPERFOCAL_AVX512
    exponent.r[0] = NativeI(_mm512_srai_epi32(__m512i(exponent.r[0]), 23));
#elif !defined(HYPERFOCAL_PLAIN_VECTORS)
    HF_EACH exponent.r[i] = exponent.r[i] >> 23;
#else
    HF_EACH for (int j = 0; j < kNative; ++j) exponent.r[i].e[j] >>= 23;
#endif
    const F16 s = (mantissa - splat(1.0f)) / (mantissa + splat(1.0f));
    const F16 s2 = s * s;
    constexpr float k = 2.8853900817779268f;  // 2 / ln 2
    F16 series = fma(s2, splat(k / 9), splat(k / 7));
    series = fma(s2, series, splat(k / 5));
    series = fma(s2, series, splat(k / 3));
    series = fma(s2, series, splat(k));
    return fma(s, series, to_float(exponent));
}

// 1 / a to float precision, for a in [1e-3, 1].
HF_INLINE F16 reciprocal(F16 a) {
#ifdef HYPERFOCAL_AVX512
    const F16 rough = {{NativeF(_mm512_rcp14_ps(__m512(a.r[0])))}};
    return rough * fnma(a, rough, splat(2.0f));
#else
    return splat(1.0f) / a;
#endif
}

// sqrt(a), and 0 for negative a, larger by up to 1.6e-4 of itself but never smaller.
HF_INLINE F16 rough_sqrt(F16 a) {
    const F16 x = max(a, splat(1e-30f));
#ifdef HYPERFOCAL_AVX512
    return x * splat(1.0001f) * F16{{NativeF(_mm512_rsqrt14_ps(__m512(x.r[0])))}};
#else
    return sqrt(x);
#endif
}

// While it lives, results too small for a normal float become zero: transmittances of finished pixels go on falling, and
// processors are slow with such numbers.
struct FlushDenormals {
#ifdef HYPERFOCAL_X86
    const unsigned saved = _mm_getcsr();
    HF_INLINE FlushDenormals() { _mm_setcsr(saved | 0x8040); }
    HF_INLINE ~FlushDenormals() { _mm_setcsr(saved); }
#else
    HF_INLINE FlushDenormals() {}
    HF_INLINE ~FlushDenormals() {}
#endif
};

// The sum of all lanes, always in the same order: halves upon each other.
HF_INLINE float sum(F16 a) {
#ifdef HYPERFOCAL_AVX512
    return _mm512_reduce_add_ps(__m512(a.r[0]));
#else
    for (int step = kRegisters / 2; step > 0; step /= 2)
        for (int i = 0; i < step; ++i) a.r[i] = a.r[i] + a.r[i + step];
    float lanes[kNative];
    std::memcpy(lanes, &a.r[0], sizeof lanes);
    for (int step = kNative / 2; step > 0; step /= 2)
        for (int i = 0; i < step; ++i) lanes[i] += lanes[i + step];
    return lanes[0];
#endif
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
