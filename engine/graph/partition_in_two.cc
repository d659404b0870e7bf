#include "engine/graph/partition_in_two.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <bit>

namespace headway::internal {

[[gnu::target("avx512f,avx512dq,avx512vl,popcnt")]] void StoreInTwoAvx512(
    const void* records, const TargetsInTwo& targets, void** to0, void** to1) {
  const auto* from = static_cast<const uint64_t*>(records);
  auto* end0 = static_cast<std::byte*>(*to0);
  auto* end1 = static_cast<std::byte*>(*to1);
  for (size_t i = 0; i < kDividedTogether; i += 8) {
    const __m512i eight = _mm512_loadu_si512(from + i);
    const __m512i bits = _mm512_loadu_si512(targets.data() + i);
    const __mmask8 ones = _mm512_test_epi64_mask(bits, bits);
    const __mmask8 zeros = _mm512_testn_epi64_mask(bits, bits);
    _mm512_storeu_si512(end0, _mm512_maskz_compress_epi64(zeros, eight));
    _mm512_storeu_si512(end1, _mm512_maskz_compress_epi64(ones, eight));
    end0 += std::popcount(zeros) * sizeof(uint64_t);
    end1 += std::popcount(ones) * sizeof(uint64_t);
  }
  *to0 = end0;
  *to1 = end1;
}

}  // namespace headway::internal

#endif
