// Moves between arrays of structures and lanes: transposes, (de)interleaving, sums of many vectors at once, bit columns.
#pragma once

#include "simd.h"

namespace hyperfocal::HYPERFOCAL_ISA {

// Rows become columns.
HF_INLINE void transpose(F16 (&rows)[16]) {
#ifdef HYPERFOCAL_AVX512
    __m512 a[16], b[16];
    HF_UNROLL for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(__m512(rows[i].r[0]), __m512(rows[i + 1].r[0]));
        a[i + 1] = _mm512_unpackhi_ps(__m512(rows[i].r[0]), __m512(rows[i + 1].r[0]));
    }
    HF_UNROLL for (int i = 0; i < 16; i += 4) {
        HF_UNROLL for (int j = 0; j < 2; ++j) {
            const __m512d x = _mm512_castps_pd(a[i + j]), y = _mm512_castps_pd(a[i + j + 2]);
            b[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
            b[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
        }
    }
    // b[4 g + c] holds, in its 128-bit quarter q, the elements of column 4 q + c from rows 4 g .. 4 g + 3.
    HF_UNROLL for (int c = 0; c < 4; ++c) {
        const __m512 low = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88), high = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xDD);
        const __m512 low2 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88),
                     high2 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xDD);
        rows[c].r[0] = NativeF(_mm512_shuffle_f32x4(low, low2, 0x88));
        rows[8 + c].r[0] = NativeF(_mm512_shuffle_f32x4(low, low2, 0xDD));
        rows[4 + c].r[0] = NativeF(_mm512_shuffle_f32x4(high, high2, 0x88));
        rows[12 + c].r[0] = NativeF(_mm512_shuffle_f32x4(high, high2, 0xDD));
    }
#else
    float in[16][16], out[16][16];
    for (int i = 0; i < 16; ++i) store(in[i], rows[i]);
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 16; ++j) out[i][j] = in[j][i];
    for (int i = 0; i < 16; ++i) rows[i] = load(out[i]);
#endif
}

// Sixteen floats from, and to, four places.
HF_INLINE F16 load_quads(const float* a, const float* b, const float* c, const float* d) {
#ifdef HYPERFOCAL_AVX512
    const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a)), _mm_loadu_ps(b), 1);
    const __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(c)), _mm_loadu_ps(d), 1);
    return {{NativeF(_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1))}};
#else
    F16 x;
    char* to = reinterpret_cast<char*>(&x);
    std::memcpy(to, a, 16), std::memcpy(to + 16, b, 16), std::memcpy(to + 32, c, 16), std::memcpy(to + 48, d, 16);
    return x;
#endif
}
HF_INLINE void store_quads(float* a, float* b, float* c, float* d, F16 x) {
    const char* from = reinterpret_cast<const char*>(&x);
#ifdef HYPERFOCAL_AVX512
    (void)from;
    _mm_storeu_ps(a, _mm512_castps512_ps128(__m512(x.r[0])));
    _mm_storeu_ps(b, _mm512_extractf32x4_ps(__m512(x.r[0]), 1));
    _mm_storeu_ps(c, _mm512_extractf32x4_ps(__m512(x.r[0]), 2));
    _mm_storeu_ps(d, _mm512_extractf32x4_ps(__m512(x.r[0]), 3));
#else
    std::memcpy(a, from, 16), std::memcpy(b, from + 16, 16), std::memcpy(c, from + 32, 16), std::memcpy(d, from + 48, 16);
#endif
}

// Lane i < kCount of the result is the sum of the lanes of v[i].
template <int kCount>
HF_INLINE F16 sums(F16 (&v)[kCount]) {
    static_assert(kCount > 8 && kCount <= 16 && kCount % 2 == 0);
#ifdef HYPERFOCAL_AVX512
    __m512 a[8], b[4];
    HF_UNROLL for (int i = 0; i < kCount / 2; ++i) {
        const __m512 x = __m512(v[2 * i].r[0]), y = __m512(v[2 * i + 1].r[0]);
        a[i] = _mm512_unpacklo_ps(x, y) + _mm512_unpackhi_ps(x, y);  // x y x y in each quarter
    }
    HF_UNROLL for (int i = 0; i < (kCount + 2) / 4; ++i) {
        const __m512d x = _mm512_castps_pd(a[2 * i]);
        const __m512d y = 4 * i + 2 < kCount ? _mm512_castps_pd(a[2 * i + 1]) : _mm512_setzero_pd();
        b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y)) + _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
    }
    const __m512 b3 = kCount > 12 ? b[3] : b[2];  // lanes beyond kCount hold anything
    const __m512 c0 = _mm512_shuffle_f32x4(b[0], b[1], 0x88) + _mm512_shuffle_f32x4(b[0], b[1], 0xDD);
    const __m512 c1 = _mm512_shuffle_f32x4(b[2], b3, 0x88) + _mm512_shuffle_f32x4(b[2], b3, 0xDD);
    return {{NativeF(_mm512_shuffle_f32x4(c0, c1, 0x88) + _mm512_shuffle_f32x4(c0, c1, 0xDD))}};
#else
    float total[kLanes] = {};
#if defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    __m256 half[kLanes];
    HF_UNROLL for (int k = 0; k < kLanes; ++k)
        half[k] = k < kCount ? __m256(v[k % kCount].r[0] + v[k % kCount].r[1]) : _mm256_setzero_ps();
    HF_UNROLL for (int k = 0; k < kCount; k += 4) {
        const __m256 quarters =
            _mm256_hadd_ps(_mm256_hadd_ps(half[k], half[k + 1]), _mm256_hadd_ps(half[k + 2], half[k + 3]));
        _mm_storeu_ps(total + k, _mm_add_ps(_mm256_castps256_ps128(quarters), _mm256_extractf128_ps(quarters, 1)));
    }
#else
    for (int k = 0; k < kCount; ++k) {
        NativeF part = v[k].r[0];
        for (int i = 1; i < kRegisters; ++i) part = part + v[k].r[i];
        float lanes[kNative];
        std::memcpy(lanes, &part, sizeof lanes);
        for (int step = kNative / 2; step > 0; step /= 2)
            for (int i = 0; i < step; ++i) lanes[i] += lanes[i + step];
        total[k] = lanes[0];
    }
#endif
    return load(total);
#endif
}

#ifdef HYPERFOCAL_AVX512
HF_INLINE F16 permute2(F16 a, __m512i index, F16 b) {
    return {{NativeF(_mm512_permutex2var_ps(__m512(a.r[0]), index, __m512(b.r[0])))}};
}
#endif

// 16 triples x y z x y z ... to three vectors and back.
HF_INLINE void load3(const float* from, F16& x, F16& y, F16& z) {
#ifdef HYPERFOCAL_AVX512
    const F16 a = load(from), b = load(from + 16), c = load(from + 32);
    const __m512i x1 = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0, 0, 0, 0, 0);
    const __m512i x2 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 20, 23, 26, 29);
    const __m512i y1 = _mm512_setr_epi32(1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 0, 0, 0, 0, 0);
    const __m512i y2 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 21, 24, 27, 30);
    const __m512i z1 = _mm512_setr_epi32(2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 0, 0, 0, 0, 0, 0);
    const __m512i z2 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19, 22, 25, 28, 31);
    x = permute2(permute2(a, x1, b), x2, c);
    y = permute2(permute2(a, y1, b), y2, c);
    z = permute2(permute2(a, z1, b), z2, c);
#else
    float lanes[3][16];
    for (int i = 0; i < 16; ++i)
        for (int k = 0; k < 3; ++k) lanes[k][i] = from[3 * i + k];
    x = load(lanes[0]), y = load(lanes[1]), z = load(lanes[2]);
#endif
}
HF_INLINE void store3(float* to, F16 x, F16 y, F16 z) {
#ifdef HYPERFOCAL_AVX512
    const __m512i a1 = _mm512_setr_epi32(0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5);
    const __m512i a2 = _mm512_setr_epi32(0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15);
    const __m512i b1 = _mm512_setr_epi32(21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26);
    const __m512i b2 = _mm512_setr_epi32(0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15);
    const __m512i c1 = _mm512_setr_epi32(0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0);
    const __m512i c2 = _mm512_setr_epi32(26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31);
    store(to, permute2(permute2(x, a1, y), a2, z));
    store(to + 16, permute2(permute2(x, b1, y), b2, z));
    store(to + 32, permute2(permute2(x, c1, y), c2, z));
#else
    float lanes[3][16];
    store(lanes[0], x), store(lanes[1], y), store(lanes[2], z);
    for (int i = 0; i < 16; ++i)
        for (int k = 0; k < 3; ++k) to[3 * i + k] = lanes[k][i];
#endif
}

// 16 pairs or quadruples to vectors and back. Per-Gaussian stages only: clarity over speed.
template <int kWidth>
HF_INLINE void load_columns(const float* from, F16 (&columns)[kWidth]) {
#ifdef HYPERFOCAL_AVX512
    if constexpr (kWidth == 4) {
        const F16 a = load(from), b = load(from + 16), c = load(from + 32), d = load(from + 48);
        const __m512i even = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
        const __m512i odd = _mm512_setr_epi32(2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
        const __m512 xy1 = __m512(permute2(a, even, b).r[0]), xy2 = __m512(permute2(c, even, d).r[0]);
        const __m512 zw1 = __m512(permute2(a, odd, b).r[0]), zw2 = __m512(permute2(c, odd, d).r[0]);
        columns[0].r[0] = NativeF(_mm512_shuffle_f32x4(xy1, xy2, 0x44));
        columns[1].r[0] = NativeF(_mm512_shuffle_f32x4(xy1, xy2, 0xEE));
        columns[2].r[0] = NativeF(_mm512_shuffle_f32x4(zw1, zw2, 0x44));
        columns[3].r[0] = NativeF(_mm512_shuffle_f32x4(zw1, zw2, 0xEE));
        return;
    }
#endif
    float lanes[kWidth][16];
    for (int i = 0; i < 16; ++i)
        for (int k = 0; k < kWidth; ++k) lanes[k][i] = from[kWidth * i + k];
    for (int k = 0; k < kWidth; ++k) columns[k] = load(lanes[k]);
}
template <int kWidth>
HF_INLINE void store_columns(float* to, const F16 (&columns)[kWidth]) {
    float lanes[kWidth][16];
    for (int k = 0; k < kWidth; ++k) store(lanes[k], columns[k]);
    for (int i = 0; i < 16; ++i)
        for (int k = 0; k < kWidth; ++k) to[kWidth * i + k] = lanes[k][i];
}

// Bit i of the result is bit `bit` of bytes[i], for 64 bytes.
HF_INLINE uint64_t bit_column(const uint8_t* bytes, int bit) {
#if defined(HYPERFOCAL_AVX512)
    return _mm512_test_epi8_mask(_mm512_loadu_si512(bytes), _mm512_set1_epi8(char(1 << bit)));
#elif defined(__AVX2__) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    uint64_t column = 0;
    for (int i = 0; i < 2; ++i) {
        const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32 * i));
        column |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_slli_epi16(x, 7 - bit)))) << (32 * i);
    }
    return column;
#elif defined(HYPERFOCAL_X86) && !defined(HYPERFOCAL_PLAIN_VECTORS)
    uint64_t column = 0;
    for (int i = 0; i < 4; ++i) {
        const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 16 * i));
        column |= uint64_t(uint32_t(_mm_movemask_epi8(_mm_slli_epi16(x, 7 - bit)))) << (16 * i);
    }
    return column;
#else
    uint64_t column = 0;
    for (int i = 0; i < 64; ++i) column |= uint64_t(bytes[i] >> bit & 1) << i;
    return column;
#endif
}

// The low byte of each lane, to 16 bytes.
HF_INLINE void store_bytes(uint8_t* to, I16 x) {
#ifdef HYPERFOCAL_AVX512
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(__m512i(x.r[0])));
#else
    int32_t lanes[kLanes];
    store(lanes, x);
    for (int i = 0; i < kLanes; ++i) to[i] = uint8_t(lanes[i]);
#endif
}

// bfloat16: the upper half of a float. Storing adds `noise`, of which the low 16 bits count, before it drops the lower half.
HF_INLINE F16 load_bfloat16(const uint16_t* from) {
#ifdef HYPERFOCAL_AVX512
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return {{NativeF(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16)))}};
#else
    int32_t bits[kLanes];
    for (int i = 0; i < kLanes; ++i) bits[i] = int32_t(uint32_t(from[i]) << 16);
    return float_of_bits(load(bits));
#endif
}
HF_INLINE void store_bfloat16(uint16_t* to, F16 x, I16 noise) {
    const I16 bits = shift_right(bits_of(x) + (noise & splat(int32_t(0xFFFF))), 16);
#ifdef HYPERFOCAL_AVX512
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(__m512i(bits.r[0])));
#else
    int32_t lanes[kLanes];
    store(lanes, bits);
    for (int i = 0; i < kLanes; ++i) to[i] = uint16_t(lanes[i]);
#endif
}

HF_INLINE int count_trailing_zeros(uint64_t x) {
#ifdef __GNUC__
    return __builtin_ctzll(x);
#else
    unsigned long index;
    _BitScanForward64(&index, x);
    return int(index);
#endif
}
HF_INLINE int count_ones(uint64_t x) {
#ifdef __GNUC__
    return __builtin_popcountll(x);
#else
    return int(__popcnt64(x));
#endif
}

// Writes (first + i) * scale for every set bit i, in rising order; up to 64 entries past the last may be overwritten.
// Returns how many there are.
HF_INLINE int list_bits(uint32_t* to, uint64_t bits, int first, uint32_t scale) {
#ifdef HYPERFOCAL_AVX512
    const __m512i step = _mm512_set1_epi32(int32_t(16 * scale));
    __m512i numbers = _mm512_mullo_epi32(
        _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32(first)),
        _mm512_set1_epi32(int32_t(scale)));
    int length = 0;
    HF_UNROLL for (int part = 0; part < 4; ++part) {
        const __mmask16 mask = __mmask16(bits >> (16 * part));
        _mm512_storeu_si512(to + length, _mm512_maskz_compress_epi32(mask, numbers));
        length += count_ones(mask);
        numbers = _mm512_add_epi32(numbers, step);
    }
    return length;
#else
    // Eight at a time without asking how many are left: a wrong guess costs more than a few wasted stores.
    const int length = count_ones(bits);
    for (int done = 0; done < length; done += 8) {
        HF_UNROLL for (int k = 0; k < 8; ++k) {
            to[done + k] = uint32_t(first + (bits ? count_trailing_zeros(bits) : 0)) * scale;
            bits &= bits - 1;
        }
    }
    return length;
#endif
}

}  // namespace hyperfocal::HYPERFOCAL_ISA
