// The fused LM head on a chunk of rows: cuBLASLt has written the chunk's logits (bf16 x bf16 -> f32, [R, V], at most a fixed number of
// bytes); one thread block a row turns them into log-probability and entropy, and, going back, into dL/dlogits in place, from which
// cuBLASLt makes d(hidden) and d(weight). The logits of all rows are never in memory together.
//
// The CUDA twin of head::forward and head::backward. Compile-checked with NVRTC (xtask/nvrtc_check.py); it has not run on a device yet.

constexpr int THREADS = 512;
#define MINUS_INFINITY __int_as_float(0xff800000)

struct Sums { float highest, sum, weighted; };  // max z, sum exp(z - max), sum exp(z - max) * (z - max)

__device__ __forceinline__ Sums join(Sums a, Sums b) {
    if (a.highest == MINUS_INFINITY) return b;
    if (b.highest == MINUS_INFINITY) return a;
    float highest = fmaxf(a.highest, b.highest), da = a.highest - highest, db = b.highest - highest;
    float ea = __expf(da), eb = __expf(db);
    return {highest, a.sum * ea + b.sum * eb, (a.weighted + a.sum * da) * ea + (b.weighted + b.sum * db) * eb};
}

// Sums over a row, the same in every thread. A fixed tree: the same bits on every run.
__device__ Sums reduce_row(const float* row, int vocabulary, float inverse_temperature) {
    __shared__ Sums partial[THREADS / 32];
    Sums mine = {MINUS_INFINITY, 0.f, 0.f};
    for (int i = threadIdx.x; i < vocabulary; i += THREADS) mine = join(mine, {row[i] * inverse_temperature, 1.f, 0.f});
    for (int step = 16; step > 0; step /= 2) {
        Sums other = {__shfl_xor_sync(~0u, mine.highest, step), __shfl_xor_sync(~0u, mine.sum, step), __shfl_xor_sync(~0u, mine.weighted, step)};
        mine = join(mine, other);
    }
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = mine;
    __syncthreads();
    mine = partial[0];
    for (int i = 1; i < THREADS / 32; i++) mine = join(mine, partial[i]);
    __syncthreads();
    return mine;
}

extern "C" __global__ void __launch_bounds__(THREADS)
head_forward(const float* logits, const unsigned* targets, int vocabulary, float inverse_temperature, float* log_probs, float* entropies) {
    const float* row = logits + (unsigned long long)blockIdx.x * vocabulary;
    Sums sums = reduce_row(row, vocabulary, inverse_temperature);
    if (threadIdx.x != 0) return;
    float log_sum = __logf(sums.sum);
    log_probs[blockIdx.x] = row[targets[blockIdx.x]] * inverse_temperature - sums.highest - log_sum;
    if (entropies) entropies[blockIdx.x] = log_sum - sums.weighted / sums.sum;
}

// dz = (d_log_prob * (onehot - p) - d_entropy * p * (log p + entropy)) / temperature, over the logits.
extern "C" __global__ void __launch_bounds__(THREADS)
head_backward(float* logits, const unsigned* targets, int vocabulary, float inverse_temperature, const float* d_log_probs, const float* d_entropies) {
    float* row = logits + (unsigned long long)blockIdx.x * vocabulary;
    Sums sums = reduce_row(row, vocabulary, inverse_temperature);
    float log_sum = sums.highest + __logf(sums.sum), entropy = __logf(sums.sum) - sums.weighted / sums.sum;
    float d_log_prob = d_log_probs[blockIdx.x], d_entropy = d_entropies ? d_entropies[blockIdx.x] : 0.f;
    int target = targets[blockIdx.x];
    for (int i = threadIdx.x; i < vocabulary; i += THREADS) {
        float log_p = row[i] * inverse_temperature - log_sum, p = __expf(log_p);
        float d = d_log_prob * ((i == target ? 1.f : 0.f) - p) - d_entropy * p * (log_p + entropy);
        row[i] = d * inverse_temperature;
    }
}
